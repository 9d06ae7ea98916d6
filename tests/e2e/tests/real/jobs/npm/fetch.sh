# Fetches a package with its tests, and fills npm's cache with what they need.
set -eu
mkdir -p home
export npm_config_cache="$PWD/home/.npm" npm_config_update_notifier=false
npm pack --silent qs@6.13.1 >&2
tar -xzf qs-6.13.1.tgz
mv package work
rm qs-6.13.1.tgz
cp "$JOB/package.json" "$JOB/package-lock.json" work/
(cd work && npm ci --silent --ignore-scripts --no-audit --no-fund)
rm -r work/node_modules home/.npm/_logs
