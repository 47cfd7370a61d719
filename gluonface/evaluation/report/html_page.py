"""The HTML of a report: one file, no script, readable narrow or wide, light or dark."""

import html

__all__ = ["facts", "grouped_table", "page", "table", "text"]

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #5b6470; --back: #ffffff;
  --card: #f5f6f8; --line: #d8dce1; --good: #00795a; --bad: #b84700;
  --s0: #0072b2; --s1: #c24d00; --s2: #007f5f; --s3: #a3457b; --s4: #6a5acd; --s5: #8a6500; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3abb6; --back: #15181c;
  --card: #1f2429; --line: #363d45; --good: #3ecf9f; --bad: #ff9a57;
  --s0: #5cb8f2; --s1: #ff9a57; --s2: #3ecf9f; --s3: #e59cc8; --s4: #b0a5ff; --s5: #e2b93b; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem clamp(0.8rem, 3vw, 2.5rem) 3rem; max-width: 80rem;
  background: var(--back); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0 0 0.2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.5rem; padding-top: 0.8rem;
  border-top: 1px solid var(--line); overflow-wrap: anywhere; }
h3 { font-size: 1.02rem; margin: 1.5rem 0 0.5rem; }
p { margin: 0.4rem 0; } .soft, dt { color: var(--soft); }
code { overflow-wrap: anywhere; }
.scroll { overflow-x: auto; margin: 0.8rem 0; }
.scroll:focus-visible { outline: 2px solid var(--s0); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; white-space: nowrap;
  font-size: 0.95rem; }
caption { text-align: left; font-weight: 600; padding-bottom: 0.3rem; }
caption span { display: inline-block; position: sticky; left: 0; white-space: normal;
  max-width: min(100%, calc(100vw - 2rem)); }
th, td { padding: 0.35rem 0.55rem; text-align: right; border-bottom: 1px solid var(--line); }
th { font-weight: 600; } .word { text-align: left; }
thead th.group { text-align: left; border-left: 1px solid var(--line); }
th.begins, td.begins { border-left: 1px solid var(--line); }
.note { border-left: 4px solid var(--bad); background: var(--card); padding: 0.5rem 0.8rem;
  margin: 0.6rem 0; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1rem; align-items: start; margin: 1rem 0; }
figure { margin: 0; padding: 0.7rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 6px; min-width: 0; max-width: 40rem; }
figcaption { font-weight: 600; margin-bottom: 0.3rem; }
svg.plot { width: 100%; height: auto; display: block; font-size: 12px; }
svg text { fill: var(--soft); } svg .axis { fill: var(--ink); }
.grid { stroke: var(--line); stroke-width: 1; } .frame { stroke: var(--soft); fill: none; }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.d1 { stroke-dasharray: 6 3; } .d2 { stroke-dasharray: 2 3; }
.line.s0 { stroke: var(--s0); } .line.s1 { stroke: var(--s1); } .line.s2 { stroke: var(--s2); }
.line.s3 { stroke: var(--s3); } .line.s4 { stroke: var(--s4); } .line.s5 { stroke: var(--s5); }
.dot { stroke: var(--card); }
.dot.s0 { fill: var(--s0); } .dot.s1 { fill: var(--s1); } .dot.s2 { fill: var(--s2); }
.dot.s3 { fill: var(--s3); } .dot.s4 { fill: var(--s4); } .dot.s5 { fill: var(--s5); }
.area { fill-opacity: 0.25; stroke-width: 1.5; }
.area.same { fill: var(--s0); stroke: var(--s0); }
.area.different { fill: var(--s1); stroke: var(--s1); }
.limit { stroke: var(--ink); stroke-width: 1.2; stroke-dasharray: 4 3; }
svg .limit-name { fill: var(--ink); font-size: 11px; stroke: var(--card); stroke-width: 4px;
  paint-order: stroke; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; list-style: none; padding: 0;
  margin: 0.3rem 0 0; font-size: 0.88rem; }
.key { width: 26px; height: 12px; margin-right: 0.4rem; }
.pairs { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 16rem), 1fr));
  gap: 0.8rem; padding: 0; margin: 0.6rem 0; list-style: none; }
.pairs li { background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: 0.6rem; border-top: 4px solid var(--good); overflow-wrap: anywhere; font-size: 0.93rem; }
.pairs li.wrong { border-top-color: var(--bad); }
.faces { display: grid; grid-template-columns: 1fr 1fr; gap: 0.4rem; margin-bottom: 0.4rem; }
.faces img { width: 100%; max-width: 112px; height: auto; display: block; border-radius: 3px; }
.faces.of3 { grid-template-columns: 1fr 1fr 1fr; } .faces small { color: var(--soft); }
.faces .many { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; max-width: 112px;
  align-content: start; }
.pairs b { display: block; }
dl { display: grid; grid-template-columns: fit-content(45%) 1fr; gap: 0.25rem 1rem;
  margin: 0.6rem 0; } dd { margin: 0; overflow-wrap: anywhere; }
dt { overflow-wrap: anywhere; }
details { margin: 1rem 0; } summary { cursor: pointer; font-weight: 600; }
@media (max-width: 30rem) { th, td { padding: 0.3rem 0.5rem; } table { font-size: 0.92rem; }
  svg.plot { font-size: 15px; } svg .limit-name { font-size: 13px; } }
"""


def page(title, parts):
    """Return the whole page: `parts` are pieces of HTML, `title` is text."""
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{text(title)}</title><style>{_STYLE}</style></head><body><main>",
            *parts,
            "</main></body></html>\n",
        ]
    )


def text(value):
    """Return a value as text that is safe inside HTML."""
    return html.escape(str(value))


def table(rows, words=1, caption=None):
    """Return a table that scrolls where the page is narrower than it.

    Parameters
    ----------
    rows : sequence of sequence of str
        The headings first.
    words : int, default 1
        How many of the first columns are text rather than numbers.
    caption : str, optional
    """
    return grouped_table([("", len(rows[0]))], rows, words, caption)


def grouped_table(groups, rows, words=1, caption=None):
    """Return a `table` whose columns stand in `groups` of (name, number of columns)."""
    begins, place = set(), 0
    for name, number in groups:
        if name:
            begins.add(place)
        place += number
    head = ""
    if begins:
        head = "".join(
            f'<th scope="colgroup" colspan="{number}"{_class("group" * bool(name))}>'
            f"{text(name)}</th>"
            for name, number in groups
        )
        head = f"<tr>{head}</tr>"

    def row(cells, tag, scope):
        return "".join(
            f"<{tag}{scope}{_class('word' * (at < words), 'begins' * (at in begins))}>"
            f"{text(cell)}</{tag}>"
            for at, cell in enumerate(cells)
        )

    head += f"<tr>{row(rows[0], 'th', ' scope=col')}</tr>"
    body = "".join(f"<tr>{row(cells, 'td', '')}</tr>" for cells in rows[1:])
    title = f"<caption><span>{text(caption)}</span></caption>" if caption else ""
    label = f' aria-label="{text(caption)}"' if caption else ' aria-label="table"'
    return (
        f'<div class="scroll" tabindex="0" role="region"{label}><table>{title}'
        f"<thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def facts(pairs):
    """Return a list of names and values; nested values stand on a line, empty ones are left out."""
    rows = []
    for key, value in pairs.items():
        if isinstance(value, dict):
            value = ", ".join(f"{name}: {one}" for name, one in value.items())
        if value not in (None, "", [], ()):
            rows.append(f"<dt>{text(key)}</dt><dd>{text(value)}</dd>")
    return f"<dl>{''.join(rows)}</dl>"


def _class(*names):
    names = " ".join(filter(None, names))
    return f' class="{names}"' if names else ""
