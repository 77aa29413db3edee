// Servers as Debian packages, without the cluster and the services that Debian would start.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findProgram } from './servers.mjs';

/**
 * Run as root; `$@` are the packages. Everything it changes besides the packages is put back when it ends:
 * - Debian makes and starts a Postgres cluster as it installs one, unless postgresql-common says not to.
 * - A policy-rc.d that answers 101 forbids starting services; one that is there is left alone.
 * - What would start at the next boot is disabled, only for the packages that were not there before.
 */
const SCRIPT = `
set -eu
export DEBIAN_FRONTEND=noninteractive
policy=/usr/sbin/policy-rc.d
cluster=/etc/postgresql-common/createcluster.conf
own_policy=
restore() {
  [ -z "$own_policy" ] || rm -f "$policy"
  [ ! -e "$cluster.before-vesper" ] || mv -f "$cluster.before-vesper" "$cluster"
}
trap restore EXIT
trap 'exit 1' HUP INT TERM
if [ ! -e "$policy" ] || grep -qs 'written by vesper' "$policy"; then
  own_policy=yes
  printf '#!/bin/sh\\n# written by vesper during its set-up\\nexit 101\\n' > "$policy"
  chmod 755 "$policy"
fi
apt() { apt-get -q -y -o DPkg::Lock::Timeout=300 "$@"; }
install() { apt install --no-install-recommends "$@" || { apt update && apt install --no-install-recommends "$@"; }; }
for package; do
  apt-cache policy "$package" | grep -q 'Candidate: [0-9]' || { apt update; break; }
done
for package; do
  [ "$package" = postgresql ] || continue
  install postgresql-common
  [ ! -e "$cluster" ] || cp -p "$cluster" "$cluster.before-vesper"
  echo 'create_main_cluster = false' >> "$cluster"
done
install "$@"
if command -v systemctl > /dev/null; then
  for package; do
    case "$package" in
      nats-server|redis-server|postgresql) systemctl disable "$package.service" || true ;;
    esac
  done
fi
`;

/**
 * Install Debian packages when we may: as root, or by sudo without a password.
 *
 * @returns Why it was not done, as the beginning of a sentence, or `''`. The caller looks at what is there then.
 */
export function installDebianPackages(packages, env, log) {
  if (findProgram('apt-get', env) === null) return '';
  const asRoot = rootPrefix(env);
  if (asRoot === null) return '';
  log(`installing ${packages.join(', ')} with apt-get`);
  // Two checkouts may set themselves up at once; the lock is the machine's and dies with its holder.
  const locked = existsSync('/run/lock') && findProgram('flock', env) !== null
    ? ['flock', '-o', '-w', '900', '/run/lock/vesper-setup'] : [];
  const [command, ...rest] = [...asRoot, ...locked, 'sh', '-c', SCRIPT, 'vesper', ...packages];
  const result = spawnSync(command, rest, { env, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 64 * 1024 * 1024 });
  if (result.status === 0) return '';
  const lines = `${result.stdout ?? ''}\n${result.stderr ?? ''}`.split('\n').filter((line) => line.trim() !== '');
  const reason = lines.find((line) => /^E: /.test(line))?.slice(3) ?? result.error?.message ?? lines.at(-1)
    ?? `exit ${result.status}`;
  return `apt-get failed (${reason}): `;
}

/** How to become root without being asked anything: nothing to do, sudo, or null when it cannot be done. */
function rootPrefix(env) {
  if (process.getuid() === 0) return [];
  if (findProgram('sudo', env) === null) return null;
  return spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0 ? ['sudo', '-n'] : null;
}
