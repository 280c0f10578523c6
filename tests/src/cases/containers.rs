//! The image and `compose.yaml`: from nothing to a ready backend, and what stops it. They run once, on the newest
//! PostgreSQL, and only where Docker answers.

use std::time::Duration;

use crate::harness::Context;
use crate::harness::compose::{PASSWORD, Project, ask, docker, program, text};
use crate::harness::http::get;
use crate::harness::wait;

tests![a_portal_from_nothing, a_failed_migration_never_starts_the_backend];

/// initdb, the migration, and what a busy machine adds.
const PATIENCE: Duration = Duration::from_secs(120);
/// The image, in bytes: each machine that starts it loads it.
const LARGEST_IMAGE: u64 = 100_000_000;
const DATABASE: &str = "daydream-postgres";
const BACKEND: &str = "daydream-backend";

/// None where this machine cannot run it.
fn project(context: &Context, name: &str) -> Option<Project> {
    let Some(image) = context.image() else {
        context.leave_out("no Docker answers");
        return None;
    };
    if program().is_none() {
        context
            .skip("neither `docker compose` nor docker-compose is here (scripts/install-test-tools.sh installs one)");
        return None;
    }
    Some(context.project(name, &image))
}

fn status(project: &Project, path: &str) -> Option<u16> {
    get(project.address(), path).map(|(status, _)| status)
}

#[track_caller]
fn wait_for(project: &Project, ready: u16) {
    let what = format!("{ready} from /health/ready");
    wait::until_true(&what, PATIENCE, || status(project, "/health/ready") == Some(ready));
}

fn a_portal_from_nothing(context: &Context) {
    let Some(project) = project(context, "portal") else {
        return;
    };
    let (database, backend) = (project.container(DATABASE), project.container(BACKEND));
    project.run(&["up", "--detach", "--no-build"]);
    wait_for(&project, 200);
    let health = || ask(&["inspect", "--format", "{{.State.Health.Status}}", &backend]);
    wait::until_true("Docker calls the backend healthy", PATIENCE, || health() == "healthy");

    let identity = ask(&["exec", &backend, "id", "-u"]);
    assert_ne!(identity, "0", "the backend runs as root");
    let locked = "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}}";
    assert_eq!(ask(&["inspect", "--format", locked, &backend]), "true [ALL]");
    let size = ask(&["image", "inspect", "--format", "{{.Size}}", &project.image]);
    let size: u64 = size.parse().expect("a number");
    assert!(size <= LARGEST_IMAGE, "the image has {size} bytes");
    let layers = ask(&["history", "--no-trunc", "--format", "{{.CreatedBy}}", &project.image]);
    assert!(!layers.contains(PASSWORD), "{layers}");
    let query = "SELECT outcome || ' ' || git_commit FROM migration.runs";
    let psql = [
        "exec",
        &database,
        "psql",
        "-At",
        "-U",
        "daydream_user",
        "-d",
        "daydream_portal",
        "-c",
        query,
    ];
    let variables = ask(&[
        "inspect",
        "--format",
        "{{range .Config.Env}}{{println .}}{{end}}",
        &backend,
    ]);
    let commit = variables
        .lines()
        .find_map(|line| line.strip_prefix("GIT_COMMIT="))
        .expect("it has one");
    assert_eq!(ask(&psql), format!("succeeded {commit}"));
    let (code, body) = get(project.address(), "/api/events").expect("it answers");
    assert_eq!(code, 200, "{body}");

    // The backend outlives its database, and says what is the matter.
    ask(&["kill", &database]);
    wait_for(&project, 503);
    assert_eq!(status(&project, "/health/live"), Some(200));
    assert!(
        !docker(&["exec", &backend, "backend", "--health-check"])
            .status
            .success()
    );
    ask(&["start", &database]);
    wait_for(&project, 200);
    assert!(
        docker(&["exec", &backend, "backend", "--health-check"])
            .status
            .success()
    );
    assert_eq!(ask(&["inspect", "--format", "{{.RestartCount}}", &backend]), "0");

    // It is told to end, rather than killed after a time; and the next start has nothing to migrate.
    ask(&["stop", "--time", "60", &backend]);
    let ended = "{{.State.Status}} {{.State.ExitCode}}";
    assert_eq!(ask(&["inspect", "--format", ended, &backend]), "exited 0");
    ask(&["start", &backend]);
    wait_for(&project, 200);
    let log = text(&docker(&["logs", &backend]));
    assert!(log.contains("nothing to do"), "{log}");
    assert!(!log.contains(PASSWORD), "{log}");

    project.run(&["down", "--volumes"]);
    assert_eq!(project.rest(), "", "something is left of the project");
}

fn a_failed_migration_never_starts_the_backend(context: &Context) {
    let Some(project) = project(context, "failing") else {
        return;
    };
    let phases = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .expect("a temporary folder");
    std::fs::write(phases.path().join("01_broken.sql"), "SELECT nothing FROM nowhere;\n").expect("writable");
    let phases = format!("{}:/app/sql:ro", phases.path().display());
    // It starts the database, and waits for it, before the backend's container.
    for (what, options, status, says) in [
        (
            "a wrong password",
            ["-e", "POSTGRES_PASSWORD=wrong"],
            3,
            "password authentication failed",
        ),
        ("a phase that fails", ["-v", &phases], 1, "nowhere"),
        (
            "no such host",
            ["-e", "POSTGRES_HOST=no-such-host.invalid"],
            3,
            "no-such-host.invalid",
        ),
    ] {
        let mut arguments = vec!["run", "--rm", "-T"];
        arguments.extend(options);
        arguments.extend([BACKEND, "--wait", "5s", "--no-snapshot"]);
        let output = project.compose(&arguments);
        let said = text(&output);
        assert_eq!(output.status.code(), Some(status), "{what}: {said}");
        assert!(said.contains(says), "{what}: {said}");
        assert!(said.contains("the backend is not started"), "{what}: {said}");
        assert!(!said.contains("listening"), "{what}: {said}");
    }
    project.run(&["down", "--volumes"]);
    assert_eq!(project.rest(), "", "something is left of the project");
}
