//! What went through the gate, in a line for each endpoint.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stockade::report::{Denial, Direction, NetworkReport, Traffic};
use stockade::units::ByteSize;

use super::text::escaped;

/// What went through the gate, by endpoint; a bounded number of lines, as the report's lists are.
pub(super) fn told(report: &NetworkReport) -> String {
    let mut lines = format!("stockade: network, {}\n", amounts(report.total));
    for endpoint in &report.endpoints {
        let published = if endpoint.direction == Direction::In { " (published)" } else { "" };
        let (host, port) = (escaped(&endpoint.host), endpoint.port);
        let _infallible = writeln!(lines, "  {host} port {port}{published}: {}", amounts(endpoint.traffic));
    }
    if report.elsewhere.connections > 0 {
        let _infallible = writeln!(lines, "  elsewhere: {}", amounts(report.elsewhere));
    }
    lines
}

/// Endpoints that could not be reached although they may be, with the reason: programs only see that the connection is broken
/// off. At most `few`; `None` where there are none, and without those that a denial tells of.
pub(super) fn unreached(report: &NetworkReport, denials: &[Denial], few: usize) -> Option<String> {
    let mut endpoints = BTreeMap::new();
    for connection in report.connections.iter().filter(|connection| connection.address.is_none()) {
        let endpoint = format!("{}:{}", connection.host, connection.port);
        if let Some(reason) = &connection.failed
            && !denials.iter().any(|denial| denial.target == endpoint)
        {
            endpoints.insert(endpoint, reason);
        }
    }
    if endpoints.is_empty() {
        return None;
    }
    let mut lines = "stockade: not reached:\n".to_owned();
    for (endpoint, reason) in endpoints.iter().take(few) {
        let _infallible = writeln!(lines, "  {}: {}", escaped(endpoint), escaped(reason));
    }
    if endpoints.len() > few {
        let _infallible = writeln!(lines, "  and {} more; --report FILE holds them", endpoints.len() - few);
    }
    Some(lines)
}

fn amounts(traffic: Traffic) -> String {
    let Traffic { connections, sent, received, .. } = traffic;
    let ending = if connections == 1 { "" } else { "s" };
    format!("{connections} connection{ending}, {} sent, {} received", ByteSize(sent), ByteSize(received))
}

#[cfg(test)]
mod tests {
    use stockade::report::{Connection, MAX_ENDPOINTS, Protocol};

    use super::*;

    fn connection(direction: Direction, host: &str) -> Connection {
        Connection {
            direction,
            host: host.into(),
            address: None,
            port: 443,
            protocol: Protocol::Tls,
            sent: 1_024,
            received: 7,
            duration_ms: 1,
            rule: None,
            process: None,
            at_ms: 0,
            failed: None,
        }
    }

    #[test]
    fn every_endpoint_has_its_line() {
        let mut report = NetworkReport::default();
        report.record(connection(Direction::Out, "x.example"));
        report.record(connection(Direction::In, "127.0.0.1\u{1b}"));
        assert_eq!(
            told(&report),
            "stockade: network, 2 connections, 2KiB sent, 14B received\n  \
             x.example port 443: 1 connection, 1KiB sent, 7B received\n  \
             127.0.0.1\\u{1b} port 443 (published): 1 connection, 1KiB sent, 7B received\n"
        );
    }

    #[test]
    fn what_is_beyond_the_bound_is_one_line() {
        let mut report = NetworkReport::default();
        (0..MAX_ENDPOINTS + 9).for_each(|n| report.record(connection(Direction::Out, &format!("h{n}.example"))));
        let text = told(&report);
        assert_eq!(text.lines().count(), 1 + MAX_ENDPOINTS + 1);
        assert!(text.ends_with("  elsewhere: 9 connections, 9KiB sent, 63B received\n"), "{text}");
    }
}
