//! The examples at the end of each command's `--help`. A test runs every one of them.

pub(super) const CORDBOARD: &str = "\
Examples:
  cordboard                                the broker and its console, on 127.0.0.1:2673
  cordboard sub 'orders/#' --name billing  in another terminal: a subscriber that misses nothing
  cordboard pub orders/eu 'one pear'       in a third: a message for it";

pub(super) const CONSOLE: &str = "\
Examples:
  cordboard console
  cordboard console --listen 127.0.0.1:2674 --state-dir /tmp/second
  cordboard console --config cordboard.toml --operator alice --read-only";

pub(super) const SERVE: &str = "\
Examples:
  cordboard serve
  cordboard serve --config cordboard.toml
  cordboard serve --listen 127.0.0.1:2674 --state-dir /tmp/second";

pub(super) const PUB: &str = "\
Examples:
  cordboard pub orders/eu 'one pear'
  cordboard pub invoices/7 --file invoice.pdf --header content-type=application/pdf
  seq 1000 | cordboard pub numbers --ttl 1h";

pub(super) const SUB: &str = "\
Examples:
  cordboard sub 'orders/#' --name billing
  cordboard sub numbers --name tens --count 10 --timeout 5s
  cordboard sub invoices/7 --count 1 --format raw > copy.pdf";

pub(super) const PING: &str = "\
Examples:
  cordboard ping
  cordboard ping --timeout 500ms --quiet || echo 'the broker is away'
  cordboard ping --server localhost";

pub(super) const BENCH: &str = "\
Examples:
  cordboard bench
  cordboard bench latency --rate 1000 --duration 1m --format json > latency.json
  cordboard bench all --compare nats-server --rounds 5";

pub(super) const CONFIG: &str = "\
Examples:
  cordboard config > cordboard.toml
  cordboard config --check cordboard.toml
  cordboard config | grep -B2 reclaim_after";

pub(super) const PASSWD: &str = "\
Examples:
  cordboard passwd alice
  echo 'correct horse' | cordboard passwd alice >> cordboard.toml";

pub(super) const RIGHTS: &str = "\
Examples:
  cordboard rights --config users.toml --as alice publish orders/eu/1
  cordboard rights --config users.toml --as alice subscribe 'orders/#'";

pub(super) const COMPLETIONS: &str = "\
Examples:
  cordboard completions bash > ~/.local/share/bash-completion/completions/cordboard
  cordboard completions zsh > ~/.zfunc/_cordboard
  cordboard completions fish > ~/.config/fish/completions/cordboard.fish";

pub(super) const MAN: &str = "\
Examples:
  cordboard man > cordboard.1
  cordboard man sub > cordboard-sub.1";
