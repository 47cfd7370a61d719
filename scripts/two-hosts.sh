#!/usr/bin/env bash
# Train on two simulated hosts: two network namespaces of this machine, each with its own address and
# host name, joined by a virtual Ethernet link. Checks that the launch command for several machines
# works, with names and with addresses. Needs root, iproute2 and Horovod. It creates two network
# namespaces and their folders in /etc/netns, and removes them at the end.
#
#   sudo ./scripts/two-hosts.sh [FOLDER]          log and runs go to FOLDER; default: a temporary one
#   PYTHON=/path/to/python ./scripts/two-hosts.sh
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    -h | --help)
        sed -n '2,8s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
esac
if [ "$(id -u)" != 0 ]; then
    echo "$0: network namespaces need root: sudo $0" >&2
    exit 1
fi
python=${PYTHON:-python3}
[ -x .venv/bin/python ] && python=${PYTHON:-$PWD/.venv/bin/python}
"$python" -c 'import gluonface, horovod' || {
    echo "$0: $python has no gluonface with Horovod: scripts/install-horovod.sh; PYTHON=... chooses" >&2
    exit 1
}
folder=${1:-$(mktemp -d "${TMPDIR:-/tmp}/gluonface-two-hosts.XXXXXX")}
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)

names=(gf-alpha gf-beta)
addresses=(10.77.0.1 10.77.0.2)

clean() {
    local name
    for name in "${names[@]}"; do
        ip netns del "$name" 2>/dev/null || true
        rm -rf "/etc/netns/$name"
    done
}
trap clean EXIT
clean
for name in "${names[@]}"; do
    ip netns add "$name"
    ip -n "$name" link set lo up
    mkdir -p "/etc/netns/$name" # the host names that each namespace resolves
    printf '127.0.0.1 localhost\n%s alpha\n%s beta\n' "${addresses[@]}" >"/etc/netns/$name/hosts"
done
ip link add gf0 netns "${names[0]}" type veth peer name gf0 netns "${names[1]}"
for i in 0 1; do
    ip -n "${names[$i]}" addr add "${addresses[$i]}/24" dev gf0
    ip -n "${names[$i]}" link set gf0 up
done
# It takes a moment until the link is up.
for _ in 1 2 3 4 5 6 7 8 9 10; do
    ip netns exec "${names[0]}" "$python" - "${addresses[1]}" <<'END' && break
import socket, sys
try:  # refused: the host answers
    socket.create_connection((sys.argv[1], 9), timeout=1)
except ConnectionRefusedError:
    pass
except OSError:
    sys.exit(1)
END
done

# A replacement of ssh. Its last two arguments are the host and the command.
mkdir -p "$folder/bin"
cat >"$folder/bin/ssh" <<'END'
#!/usr/bin/env bash
host='' command=''
while [ $# -gt 0 ]; do
    case $1 in
        -o | -p | -i | -l) shift 2 ;;
        -*) shift ;;
        *)
            if [ -z "$host" ]; then host=$1; else command="$command $1"; fi
            shift
            ;;
    esac
done
case ${host#*@} in
    alpha | 10.77.0.1) name=gf-alpha ;;
    beta | 10.77.0.2) name=gf-beta ;;
    *)
        echo "ssh: no host $host" >&2
        exit 255
        ;;
esac
echo "ssh $host: ${command:0:60}..." >>"$(dirname "$0")/../ssh.log"
# Like sshd, run the command in the network of the host.
exec ip netns exec "$name" unshare --uts bash -c "hostname ${name#gf-}; $command"
END
chmod +x "$folder/bin/ssh"
bin=$(dirname "$("$python" -c 'import sys; print(sys.executable)')")
export PATH="$folder/bin:$bin:$PATH" OMP_NUM_THREADS=1 PYTHONPATH="$PWD${PYTHONPATH:+:$PYTHONPATH}"

"$python" -m gluonface data synthesize --identities 30 --images 8 --test-identities 20 --pairs 100 \
    --out "$folder/faces" 2>"$folder/data.log"

train=("$python" -m gluonface train --recipe synthetic-quickstart --data "$folder/faces"
    --set train.steps=12 --set schedule.warmup_steps=2 --set data.batch_size=8 --set log.every=3 --set checkpoint.every=6
    --set log.tensorboard=false --set log.curves=false --set export.onnx=false
    --set head.sample_rate=0.5 --set optimizer.name=sgd --set optimizer.lr=0.02
    --parallel horovod)

echo "== two hosts: $(for i in 0 1; do printf '%s %s  ' "${names[$i]}" "${addresses[$i]}"; done)"
echo "== horovodrun -np 2 -H alpha:1,beta:1 gluonface train ..."
ip netns exec "${names[0]}" unshare --uts bash -c 'hostname alpha; exec "$@"' - \
    "$python" -m gluonface.parallel.launch -np 2 -H alpha:1,beta:1 \
    --gloo --network-interfaces gf0 --start-timeout 300 --verbose \
    "${train[@]}" --run "$folder/two" 2>&1 | tee "$folder/two.log"
echo "== the same run on one host"
"$python" -m gluonface.parallel.launch -np 2 --gloo --start-timeout 300 \
    "${train[@]}" --run "$folder/one" >"$folder/one.log" 2>&1

echo "== bytes over the link"
ip -n "${names[0]}" -s link show gf0 | tail -4
echo "== losses, two hosts and one host"
"$python" - "$folder" <<'END'
import csv, pathlib, sys

rows = [
    [float(row["loss"]) for row in csv.DictReader(open(pathlib.Path(sys.argv[1]) / name / "metrics.csv"))]
    for name in ("two", "one")
]
for two, one in zip(*rows):
    sys.stdout.write(f"{two:.6f}  {one:.6f}\n")
if rows[0] != rows[1]:
    sys.exit("the runs differ")
sys.stdout.write("equal to the last bit\n")
END
echo "== log and runs: $folder"
