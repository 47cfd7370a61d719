"""The HTML of a report: one file, no script, readable narrow or wide, light or dark."""

import html

from .results import CONVENTION, cells, columns

__all__ = ["render"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6470; --back: #ffffff;
  --card: #f5f6f8; --line: #d8dce1; --good: #00795a; --bad: #b84700; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3abb6; --back: #15181c;
  --card: #1f2429; --line: #363d45; --good: #3ecf9f; --bad: #ff9a57; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2.5rem) 3rem; max-width: 76rem;
  background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 0.2rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; padding-top: 0.8rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.02rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.4rem 0; } .soft, figcaption, dt { color: var(--soft); }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap; }
th, td { padding: 0.35rem 0.8rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } th:nth-child(-n+2), td:nth-child(-n+2) { text-align: left; }
.note { border-left: 4px solid var(--bad); background: var(--card); padding: 0.5rem 0.8rem;
  margin: 0.6rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1rem; align-items: start; }
.plots img { width: 100%; border: 1px solid var(--line); border-radius: 6px; background: #fff; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(13rem, 1fr)); gap: 0.8rem;
  padding: 0; margin: 0.6rem 0; list-style: none; }
.pairs li { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.6rem; border-top: 4px solid var(--good); }
.pairs li.wrong { border-top-color: var(--bad); }
.pairs .faces { display: flex; gap: 0.3rem; margin-bottom: 0.4rem; }
.pairs img { width: 50%; max-width: 112px; height: auto; }
.pairs b { display: block; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0.25rem 1rem;
  margin: 0.6rem 0; } dd { margin: 0; overflow-wrap: anywhere; }
details { margin-top: 2rem; } summary { cursor: pointer; font-weight: 600; }
@media (max-width: 30rem) { dl { grid-template-columns: 1fr; } dd { margin-bottom: 0.4rem; } }
"""


def render(results, sections, facts):
    """Return the page.

    Parameters
    ----------
    results : sequence of VerificationResult
    sections : sequence of dict
        One per pack, as `report` makes them: name, roc, forms.
    facts : dict
        `results.document`.
    """
    model = facts["model"] or {}
    name = model.get("name") or "stored embeddings"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>Verification of {_text(name)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Face verification: {_text(name)}</h1>",
        f'<p class="soft">{_summary(results)}</p>',
        _table(results),
        '<p class="soft">TAR is strict: at a threshold whose false-accept rate does not exceed '
        "the one named. Thresholds are squared distances, averaged over the folds. Read val "
        "together with the realised far beside it.</p>",
    ]
    for section in sections:
        parts.append(_section(section))
    parts += [
        "<h2>Model and versions</h2>",
        _list({**_flat(model), **{f"version of {k}": v for k, v in facts["versions"].items()}}),
        "<details><summary>How each figure is defined</summary>",
        _list(CONVENTION),
        "</details></body></html>\n",
    ]
    return "".join(parts)


def _summary(results):
    packs = len({result.pack for result in results})
    return (
        f"{packs} pack{'s' if packs > 1 else ''}, {len(results)} "
        f"result{'s' if len(results) > 1 else ''}, {results[0].folds} folds. "
        "Made by <code>gluonface eval verification</code>."
    )


def _table(results):
    head = "".join(f"<th>{_text(cell)}</th>" for cell in columns(results))
    rows = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in cells(result, results)) + "</tr>"
        for result in results
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{rows}</table></div>'


def _section(section):
    first = section["forms"][0]["result"]
    parts = [
        f"<h2>{_text(section['name'])}</h2>",
        f'<p class="soft">{first.n_same} same and {first.n_different} different pairs',
        f", sha256 <code>{_text(first.pack_sha256[:16])}…</code>" if first.pack_sha256 else "",
        "</p>",
    ]
    notes = {}
    for form in section["forms"]:
        for note in form["result"].notes:
            notes.setdefault(note, []).append(form["flip"])
    for note, flips in notes.items():
        where = "" if len(flips) == len(section["forms"]) else f"flip {', '.join(flips)}: "
        parts.append(f'<p class="note">{_text(where + note)}</p>')
    parts.append('<div class="plots">')
    if section["roc"]:
        parts.append(f'<img src="{section["roc"]}" alt="ROC of {_text(section["name"])}">')
    for form in section["forms"]:
        parts.append(
            f'<img src="{form["scores"]}" alt="Scores of {_text(section["name"])}, '
            f'flip {_text(form["flip"])}">'
        )
    parts.append("</div>")
    for form in section["forms"]:
        parts.append(f"<h3>Flip {_text(form['flip'])}: {_text(form['title'])}</h3>")
        parts.append('<ul class="pairs">')
        parts += [_pair(call, pictures) for call, pictures in form["hard"]]
        parts.append("</ul>")
    return "".join(parts)


def _pair(call, pictures):
    faces = ""
    if pictures:
        faces = "".join(
            f'<img src="{picture}" width="112" height="112" '
            f'alt="image {side} of pair {call.index}">'
            for side, picture in zip("ab", pictures)
        )
        faces = f'<div class="faces">{faces}</div>'
    truth = "the same person" if call.same else "different people"
    sign = "above" if call.accepted else "not above"
    return (
        f'<li class="{"wrong" if call.error else "right"}">{faces}<b>{call.kind}</b>'
        f"They are {truth}. Score {call.score:.3f}, {sign} the threshold {call.threshold:.3f}. "
        f'<span class="soft">Pair {call.index}</span></li>'
    )


def _flat(facts):
    """Return the model card with nested values on one line each and empty ones left out."""
    flat = {}
    for key, value in facts.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items())
        if value not in (None, "", [], ()):
            flat[key] = value
    return flat


def _list(facts):
    rows = "".join(f"<dt>{_text(key)}</dt><dd>{_text(value)}</dd>" for key, value in facts.items())
    return f"<dl>{rows}</dl>"


def _text(value):
    return html.escape(str(value))
