//! What an empty list says: why it is empty, and what to type next.

use super::{
    State, View,
    text::{safe, width},
};

impl State {
    /// The lines that stand where the rows of a view's list would, in `columns`.
    pub(crate) fn nothing_here(&self, room: View, columns: usize) -> Vec<String> {
        let first = |why: &str, commands: &[&str]| self.first(why, commands, columns);
        if !self.shown().is_known() {
            return vec!["nothing heard from the broker yet".to_owned()];
        }
        if self.list_in(room).is_filtered_out() {
            return vec!["no row passes the filter; Esc clears it".to_owned()];
        }
        match room {
            View::Overview | View::Sessions => first("no sessions: no client has registered", &[SUB, PUB]),
            View::Listeners if !self.shown().board.broker.accepting => {
                vec!["no connections, and new ones are refused".to_owned(), "A accepts again".to_owned()]
            }
            View::Listeners => first("no connections: every client is away, or none has come", &[SUB, PUB]),
            View::Topics => first("no topics: nothing was published or subscribed to", &[PUB, SUB]),
            View::DeadLetters => first("no subscriptions: nothing can be a dead letter", &[SUB]),
            View::Actors => vec![
                "no problems: no actor is busy, and none has failed in the last 10 min".to_owned(),
                "! shows all of them".to_owned(),
            ],
            View::Events => first("nothing has happened since the console opened", &[SUB, PUB]),
            View::Audit => vec![
                "no orders yet: this broker has been left to itself".to_owned(),
                "2 lists sessions: x evicts one, D drops its connection, H holds its timer".to_owned(),
                "4 lists topics: x kills one, B forbids it".to_owned(),
                "each asks before it is done, and is recorded here and in".to_owned(),
                format!("  {}", self.audit_file()),
            ],
        }
    }

    /// Where orders are recorded.
    pub(crate) fn audit_file(&self) -> String {
        self.shown().board.broker.terms.audit.as_ref().map_or_else(|| "no file (audit.file)".to_owned(), safe)
    }

    /// Why there is nothing, and the commands that make something.
    fn first(&self, why: &str, commands: &[&str], columns: usize) -> Vec<String> {
        let mut lines = vec![why.to_owned()];
        match self.reach() {
            Some(options) => {
                lines.push("type in another terminal:".to_owned());
                lines.extend(commands.iter().flat_map(|command| self.command(command, &options, columns)));
            }
            None => lines.push("no address is open; see the broker's log".to_owned()),
        }
        lines
    }

    /// The command that makes a session, for where there are few lines.
    pub(crate) fn first_command(&self, columns: usize) -> Vec<String> {
        self.command(SUB, &self.reach().unwrap_or_default(), columns)
    }

    /// A command of this program in lines of `columns`, which a shell reads as one: each option with what it is set to.
    fn command(&self, command: &str, options: &str, columns: usize) -> Vec<String> {
        let all = format!("{command}{options}");
        let mut parts = all.split(" --").enumerate().peekable();
        // The program may have blanks in its name, and is one word all the same.
        let mut lines = vec![format!("  {}", self.program)];
        while let Some((number, part)) = parts.next() {
            let part = if number > 0 { format!("--{part}") } else { part.to_owned() };
            let goes_on = if parts.peek().is_some() { " \\" } else { "" };
            match lines.last_mut() {
                Some(line) if width(line) + 1 + width(&part) + width(goes_on) > columns => {
                    *line += " \\";
                    lines.push(format!("    {part}"));
                }
                Some(line) => line.extend([" ", &part]),
                None => {}
            }
        }
        lines
    }

    /// The options with which a client on this machine reaches this broker; none if nothing does.
    fn reach(&self) -> Option<String> {
        let broker = &self.shown().board.broker;
        let open = broker.endpoints.iter().next()?;
        let host = match open.ip() {
            ip if ip.is_unspecified() && ip.is_ipv4() => "127.0.0.1".to_owned(),
            ip if ip.is_unspecified() => "[::1]".to_owned(),
            ip if ip.is_ipv6() => format!("[{ip}]"),
            ip => ip.to_string(),
        };
        let server = format!("{host}:{}", open.port());
        let server = if server == "127.0.0.1:2673" { String::new() } else { format!(" --server {server}") };
        let user = if broker.users > 0 { " --user NAME" } else { "" };
        Some(format!("{server}{user}"))
    }
}

const SUB: &str = "sub 'orders/#' --name billing";
const PUB: &str = "pub orders/eu hello";
