//! What `/metrics` tells, in Prometheus' text format.

use std::fmt::Error;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::database::PoolStatus;
use crate::migration::Migrations;
use crate::{GIT_COMMIT, VERSION};

/// Upper bounds of the latency classes, in seconds.
const LATENCY_BOUNDS: [f64; 12] = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];

/// Labels of a request. Each has few values whatever clients send, or memory would grow with them:
/// the route is its template, the method one of the known ones.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct RequestLabels {
    /// Method, or `other`.
    pub method: &'static str,
    /// Template of the route, or `unmatched`.
    pub route: String,
    /// Status of the answer.
    pub status: u16,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

/// All metrics of the process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    latency: Family<RouteLabel, Histogram, fn() -> Histogram>,
    /// Requests being answered now.
    pub in_flight: Gauge,
    /// Open connections of clients.
    pub connections: Gauge,
    /// Connections closed because there were too many.
    pub evicted: Counter,
    ready: Gauge,
    pool_size: Gauge,
    pool_most: Gauge,
    pool_idle: Gauge,
    pool_waiting: Gauge,
    resident: Gauge<f64, AtomicU64>,
    migration: MigrationGauges,
}

/// Of the last migration that has ended. Not a number: nothing is known of one.
#[derive(Debug, Default)]
struct MigrationGauges {
    in_progress: Gauge<f64, AtomicU64>,
    succeeded: Gauge<f64, AtomicU64>,
    converged: Gauge<f64, AtomicU64>,
    statements: Gauge<f64, AtomicU64>,
    duration: Gauge<f64, AtomicU64>,
    age: Gauge<f64, AtomicU64>,
}

impl MigrationGauges {
    fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("migration");
        registry.register(
            "in_progress",
            "1 while a migration has begun and not ended (under way, or its process has died)",
            self.in_progress.clone(),
        );
        registry.register(
            "last_run_succeeded",
            "1 if the last migration that ended succeeded",
            self.succeeded.clone(),
        );
        registry.register(
            "last_run_converged",
            "1 if the database was as expected when the last migration ended",
            self.converged.clone(),
        );
        registry.register(
            "last_run_statements",
            "Statements that the last migration ran",
            self.statements.clone(),
        );
        registry.register_with_unit(
            "last_run_duration",
            "How long the last migration took",
            Unit::Seconds,
            self.duration.clone(),
        );
        registry.register_with_unit(
            "last_run_age",
            "Time since the last migration ended",
            Unit::Seconds,
            self.age.clone(),
        );
    }

    fn set(&self, migrations: Option<Migrations>) {
        let flag = |value: bool| f64::from(u8::from(value));
        let last = migrations.and_then(|migrations| migrations.last);
        for (gauge, value) in [
            (&self.in_progress, migrations.map(|seen| flag(seen.in_progress))),
            (&self.succeeded, last.map(|run| flag(run.succeeded))),
            (&self.converged, last.map(|run| flag(run.converged))),
            (&self.statements, last.map(|run| run.statements)),
            (&self.duration, last.and_then(|run| run.duration)),
            (&self.age, last.map(|run| run.age())),
        ] {
            gauge.set(value.unwrap_or(f64::NAN));
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Metrics at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("backend"),
            requests: Family::default(),
            latency: Family::new_with_constructor(|| Histogram::new(LATENCY_BOUNDS)),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            evicted: Counter::default(),
            ready: Gauge::default(),
            pool_size: Gauge::default(),
            pool_most: Gauge::default(),
            pool_idle: Gauge::default(),
            pool_waiting: Gauge::default(),
            resident: Gauge::default(),
            migration: MigrationGauges::default(),
        };
        metrics.register();
        metrics
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = vec![("version", VERSION), ("git_commit", GIT_COMMIT.unwrap_or(""))];
        registry.register("build", "The program", Info::new(build));
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "request_duration",
            "Time from a request's head to its answer's head",
            Unit::Seconds,
            self.latency.clone(),
        );
        registry.register("requests_in_flight", "Requests being answered", self.in_flight.clone());
        registry.register("connections", "Open connections of clients", self.connections.clone());
        registry.register(
            "connections_evicted",
            "Idle connections closed to make room for new ones",
            self.evicted.clone(),
        );
        registry.register("ready", "1 if the last readiness check succeeded", self.ready.clone());
        registry.register("pool_size", "Database connections", self.pool_size.clone());
        registry.register("pool_max_size", "Most database connections", self.pool_most.clone());
        registry.register("pool_idle", "Database connections not in use", self.pool_idle.clone());
        registry.register(
            "pool_waiting",
            "Requests waiting for a database connection",
            self.pool_waiting.clone(),
        );
        registry.register_with_unit(
            "resident_memory",
            "Resident memory of the process",
            Unit::Bytes,
            self.resident.clone(),
        );
        self.migration.register(registry);
    }

    /// Counts one answered request.
    pub fn answered(&self, labels: RequestLabels, duration: Duration) {
        let route = RouteLabel {
            route: labels.route.clone(),
        };
        self.latency.get_or_create(&route).observe(duration.as_secs_f64());
        self.requests.get_or_create(&labels).inc();
    }

    /// The text of `/metrics`, with the state that is read only when asked for.
    ///
    /// # Errors
    /// Only when formatting fails, which a `String` does not.
    pub fn text(&self, pool: PoolStatus, ready: bool, migrations: Option<Migrations>) -> Result<String, Error> {
        self.ready.set(i64::from(ready));
        self.pool_size.set(whole(pool.size));
        self.pool_most.set(whole(pool.most));
        self.pool_idle.set(whole(pool.idle));
        self.pool_waiting.set(whole(pool.waiting));
        self.resident.set(resident_bytes().unwrap_or(f64::NAN));
        self.migration.set(migrations);
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

fn whole(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Resident memory by `/proc`, in bytes; none where the system has no `/proc`.
fn resident_bytes() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migration::EndedRun;

    const POOL: PoolStatus = PoolStatus {
        size: 2,
        most: 4,
        idle: 1,
        waiting: 0,
    };

    #[test]
    fn tells_of_the_last_migration() {
        let metrics = Metrics::new();
        let value = |migrations, name: &str| -> f64 {
            let text = metrics.text(POOL, true, migrations).unwrap();
            assert!(
                text.contains(&format!("# TYPE backend_migration_{name} gauge")),
                "{text}"
            );
            let sample = format!("backend_migration_{name} ");
            let line = text.lines().find_map(|line| line.strip_prefix(&sample));
            line.and_then(|value| value.parse().ok())
                .unwrap_or_else(|| panic!("{name} is not in\n{text}"))
        };
        for name in [
            "in_progress",
            "last_run_succeeded",
            "last_run_converged",
            "last_run_statements",
            "last_run_duration_seconds",
            "last_run_age_seconds",
        ] {
            assert!(value(None, name).is_nan(), "{name}");
        }
        let seen = Some(Migrations {
            in_progress: true,
            last: Some(EndedRun::ended(60.0)),
        });
        assert_eq!(value(seen, "in_progress"), 1.0);
        assert_eq!(value(seen, "last_run_succeeded"), 1.0);
        assert_eq!(value(seen, "last_run_converged"), 0.0);
        assert_eq!(value(seen, "last_run_statements"), 3.0);
        assert_eq!(value(seen, "last_run_duration_seconds"), 0.25);
        let age = value(seen, "last_run_age_seconds");
        assert!((60.0..120.0).contains(&age), "{age}");
    }

    #[test]
    fn counts_by_route_template() {
        let metrics = Metrics::new();
        let labels = RequestLabels {
            method: "GET",
            route: "/api/events".into(),
            status: 200,
        };
        metrics.answered(labels, Duration::from_millis(3));
        let text = metrics.text(POOL, true, None).unwrap();
        for line in [
            "backend_requests_total{method=\"GET\",route=\"/api/events\",status=\"200\"} 1",
            "backend_request_duration_seconds_bucket{le=\"0.005\",route=\"/api/events\"} 1",
            "backend_pool_size 2",
            "backend_ready 1",
        ] {
            assert!(text.contains(line), "{line} is not in\n{text}");
        }
    }
}
