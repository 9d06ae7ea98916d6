//! What went through the gate: connections, and how much to and from which endpoint.

use std::net::{IpAddr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use super::ProcessRef;
use crate::policy::endpoint::EndpointRule;

/// Connections that one report holds; further ones are only counted, in [`NetworkReport::connections_dropped`].
pub const MAX_CONNECTIONS: usize = 256;

/// Endpoints that one report counts by themselves; what goes to further ones is in [`NetworkReport::elsewhere`].
pub const MAX_ENDPOINTS: usize = 256;

/// The network part of a report. [`NetworkReport::record`] keeps it within its bounds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkReport {
    /// Connections that are over, in the order of their end; at most [`MAX_CONNECTIONS`].
    pub connections: Vec<Connection>,
    /// Connections beyond [`MAX_CONNECTIONS`].
    pub connections_dropped: u64,
    /// What went to and came from each endpoint, in the order of first use; at most [`MAX_ENDPOINTS`].
    pub endpoints: Vec<EndpointTotal>,
    /// The same of all endpoints beyond [`MAX_ENDPOINTS`] together.
    pub elsewhere: Traffic,
    /// The same of all connections.
    pub total: Traffic,
}

/// Numbers of connections and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Connections.
    pub connections: u64,
    /// Bytes that programs inside sent.
    pub sent: u64,
    /// Bytes that they received.
    pub received: u64,
    /// How long the connections lasted, one after the other, in milliseconds.
    pub duration_ms: u64,
}

/// What went to and came from one endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointTotal {
    /// See [`Connection::direction`].
    pub direction: Direction,
    /// See [`Connection::host`].
    pub host: String,
    /// The port.
    pub port: u16,
    /// How much.
    #[serde(flatten)]
    pub traffic: Traffic,
}

/// One connection that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// Who made it.
    pub direction: Direction,
    /// The name that the program looked up, or the address where it used none. Text from inside: it is a host name in its one
    /// canonical spelling, or an address.
    pub host: String,
    /// The address to which the gate connected; `None` where there was none, or where a proxy of the host looked it up.
    pub address: Option<IpAddr>,
    /// The port: at the endpoint, or inside for [`Direction::In`].
    pub port: u16,
    /// What was spoken, as the first bytes look.
    pub protocol: Protocol,
    /// Bytes that the program inside sent.
    pub sent: u64,
    /// Bytes that it received.
    pub received: u64,
    /// How long it lasted, in milliseconds.
    pub duration_ms: u64,
    /// The rule that let it through; `None` where that was the default.
    pub rule: Option<String>,
    /// Who connected, where that is known.
    pub process: Option<ProcessRef>,
    /// When it began: milliseconds after the start of the run.
    pub at_ms: u64,
    /// Why nothing, or not everything, got through; `None` where both ends closed it.
    pub failed: Option<String>,
}

/// Who made a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// A program inside.
    Out,
    /// A program on the host, to a published port.
    In,
}

/// What was spoken on a connection, as its first bytes look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protocol {
    /// TLS.
    Tls,
    /// HTTP without encryption.
    Http,
    /// SSH.
    Ssh,
    /// Something else, or nothing.
    Other,
}

impl NetworkReport {
    /// Counts a connection, and keeps it where there is room.
    pub fn record(&mut self, connection: Connection) {
        let traffic = Traffic::of(&connection);
        self.total.add(traffic);
        let room = self.endpoints.len() < MAX_ENDPOINTS;
        match self.endpoints.iter_mut().find(|total| total.is_of(&connection)) {
            Some(total) => total.traffic.add(traffic),
            None if room => self.endpoints.push(EndpointTotal {
                direction: connection.direction,
                host: connection.host.clone(),
                port: connection.port,
                traffic,
            }),
            None => self.elsewhere.add(traffic),
        }
        if self.connections.len() < MAX_CONNECTIONS {
            self.connections.push(connection);
        } else {
            self.connections_dropped = self.connections_dropped.saturating_add(1);
        }
    }
}

impl EndpointTotal {
    fn is_of(&self, connection: &Connection) -> bool {
        (self.direction, self.port) == (connection.direction, connection.port) && self.host == connection.host
    }
}

impl Traffic {
    const fn of(connection: &Connection) -> Self {
        let Connection { sent, received, duration_ms, .. } = *connection;
        Self { connections: 1, sent, received, duration_ms }
    }

    const fn add(&mut self, other: Self) {
        self.connections = self.connections.saturating_add(other.connections);
        self.sent = self.sent.saturating_add(other.sent);
        self.received = self.received.saturating_add(other.received);
        self.duration_ms = self.duration_ms.saturating_add(other.duration_ms);
    }
}

/// The option that would allow an endpoint: `--allow git.example.com:22`. `None` where no rule can name it, as of a host
/// name with other characters than letters, digits and hyphens; so nothing that hostile code made up gets into a line that a
/// person may paste into a shell.
#[must_use]
pub fn allow_option(host: &str, port: u16) -> Option<String> {
    let is_ipv6 = host.parse::<Ipv6Addr>().is_ok();
    let text = if is_ipv6 { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let rule: EndpointRule = text.parse().ok()?;
    rule.check_allowed().ok()?;
    Some(format!("--allow {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(host: &str, port: u16) -> Connection {
        Connection {
            direction: Direction::Out,
            host: host.to_owned(),
            address: None,
            port,
            protocol: Protocol::Tls,
            sent: 2,
            received: 3,
            duration_ms: 5,
            rule: Some("*.example.org".into()),
            process: None,
            at_ms: 1,
            failed: None,
        }
    }

    #[test]
    fn endpoints_add_up_and_nothing_grows_without_bound() {
        let mut report = NetworkReport::default();
        for port in 1..=300 {
            report.record(connection("a.example.org", port));
            report.record(connection("a.example.org", 1));
        }
        report.record(Connection { direction: Direction::In, ..connection("a.example.org", 1) });
        assert_eq!((report.connections.len(), report.connections_dropped), (MAX_CONNECTIONS, 601 - 256));
        assert_eq!(report.total, Traffic { connections: 601, sent: 1_202, received: 1_803, duration_ms: 3_005 });
        assert_eq!((report.endpoints.len(), report.endpoints[0].traffic.connections), (MAX_ENDPOINTS, 301));
        // The other direction is another endpoint, for which there is no room either.
        assert_eq!(report.elsewhere.connections, 45);
    }

    #[test]
    fn numbers_do_not_overflow() {
        let mut report = NetworkReport::default();
        for _ in 0..2 {
            report.record(Connection { sent: u64::MAX, ..connection("x.example", 1) });
        }
        assert_eq!((report.total.sent, report.endpoints[0].traffic.sent), (u64::MAX, u64::MAX));
    }

    #[test]
    fn the_json_form_round_trips() {
        let mut report = NetworkReport::default();
        report.record(connection("x.example", 443));
        let json = serde_json::to_value(&report).expect("serialises");
        assert_eq!((&json["endpoints"][0]["sent"], &json["connections"][0]["protocol"]), (&2.into(), &"tls".into()));
        assert_eq!(serde_json::from_value::<NetworkReport>(json).expect("deserialises"), report);
    }

    #[test]
    fn suggestions_are_rules_that_load() {
        for (host, port, option) in [
            ("git.example.com", 22, Some("--allow git.example.com:22")),
            ("GIT.example.com", 22, Some("--allow git.example.com:22")),
            ("10.0.0.1", 80, Some("--allow 10.0.0.1:80")),
            ("2001:db8::1", 443, Some("--allow [2001:db8::1]:443")),
            ("$(id).example", 443, None),
            ("a_b.example", 443, None),
            ("::ffff:10.0.0.1", 443, None),
            ("x.example", 0, None),
            ("*.com", 443, None),
        ] {
            assert_eq!(allow_option(host, port).as_deref(), option, "{host}");
        }
    }
}
