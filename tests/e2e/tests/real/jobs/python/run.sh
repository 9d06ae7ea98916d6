# Installs pytest without a network, and runs click's own tests.
set -eu
tar -xzf click-8.1.8.tar.gz
python3 -m pip install --quiet --no-index --find-links wheels --target deps --requirement requirements.txt
cd click-8.1.8
status=0
PYTHONPATH=../deps:src python3 -m pytest -q -p no:cacheprovider tests >../log 2>&1 || status=$?
cat ../log >&2
echo "pytest: $status"
tail -n 1 ../log | sed 's/ in [0-9.]*s.*//'
