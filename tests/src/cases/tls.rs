//! TLS against a certificate of a certification authority that the test makes.

use std::path::PathBuf;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

use crate::harness::Context;
use crate::harness::database::Database;
use crate::harness::deploy::{backend, free_address};
use crate::harness::http::get;
use crate::harness::wait;
use crate::harness::xtask::{Output, Xtask};

tests![verified, weaker_modes, not_offered, both_programs_connect_the_same_way];

/// A server whose certificate is for `localhost` only, and the authorities that clients may know.
struct Secured {
    database: Database,
    right: PathBuf,
    wrong: PathBuf,
    /// A session from before nobody got in without TLS.
    admin: postgres::Client,
    #[allow(dead_code)]
    directory: TempDir,
}

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

impl Secured {
    fn start(context: &Context) -> Self {
        let server = context.own_server(&[]);
        let (right, wrong) = (authority("The right authority"), authority("Another authority"));
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &right)
            .unwrap();
        let data: String = server.admin().query_one("SHOW data_directory", &[]).unwrap().get(0);
        server.write_file(&format!("{data}/server.crt"), &certificate.pem());
        server.write_file(&format!("{data}/server.key"), &key.serialize_pem());
        let mut admin = server.admin();
        admin.batch_execute("ALTER SYSTEM SET ssl = on").unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        // A session sees what is loaded; `ssl` says what the server has.
        crate::harness::wait::until_true("a server with TLS", std::time::Duration::from_secs(10), || {
            let on: String = server.admin().query_one("SHOW ssl", &[]).unwrap().get(0);
            on == "on"
        });
        let database = Database::create(&server);
        // Whatever gets in gets in by TLS: a mode that silently does without fails.
        server.shell(&format!("sed -i 's/^host /hostssl /' {data}/pg_hba.conf"));
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, pem: String| {
            let path = directory.path().join(name);
            std::fs::write(&path, pem).unwrap();
            path
        };
        let (right, wrong) = (file("right.pem", right.pem()), file("wrong.pem", wrong.pem()));
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        Secured {
            database,
            right,
            wrong,
            admin,
            directory,
        }
    }

    fn migrate(&self, host: &str, mode: &str, authority: Option<&PathBuf>) -> Output {
        let mut call = Xtask::migrate(&self.database)
            .env("POSTGRES_HOST", host)
            .env("POSTGRES_SSL", mode);
        if let Some(path) = authority {
            call = call.env("POSTGRES_SSL_CA", path);
        }
        // No weaker path through: certificates do not become right by waiting.
        let output = call.args(["--wait", "20s"]).run();
        assert!(output.duration.as_secs() < 20, "it waited; {output}");
        output
    }
}

fn verified(context: &Context) {
    let secured = Secured::start(context);
    let (right, wrong) = (Some(&secured.right), Some(&secured.wrong));
    secured.migrate("localhost", "true", right).ends(0);
    secured.migrate("localhost", "true", wrong).ends(3).says("certificate");
    secured.migrate("localhost", "true", None).ends(3).says("certificate");
    // The certificate is for localhost, not for its address.
    secured
        .migrate("127.0.0.1", "true", right)
        .ends(3)
        .says("certificate")
        .says("127.0.0.1");
    // The file must be there and hold certificates.
    let missing = secured.directory.path().join("missing.pem");
    secured.migrate("localhost", "true", Some(&missing)).says("missing.pem");
    let empty = secured.directory.path().join("empty.pem");
    std::fs::write(&empty, "no certificate\n").unwrap();
    secured.migrate("localhost", "true", Some(&empty)).says("empty.pem");
}

fn weaker_modes(context: &Context) {
    let secured = Secured::start(context);
    let (right, wrong) = (Some(&secured.right), Some(&secured.wrong));
    // The chain without the name.
    secured.migrate("127.0.0.1", "verify-ca", right).ends(0);
    secured
        .migrate("127.0.0.1", "verify-ca", wrong)
        .ends(3)
        .says("certificate");
    secured.migrate("127.0.0.1", "verify-full", right).ends(3);
    // Neither.
    secured.migrate("127.0.0.1", "require", None).ends(0);
    secured.migrate("127.0.0.1", "prefer", None).ends(0);
    // As in libpq, a named authority is verified even then.
    secured.migrate("127.0.0.1", "require", wrong).ends(3);
    // This server lets nobody in without.
    secured
        .migrate("127.0.0.1", "false", None)
        .ends(3)
        .says_one_of(&["encryption", "SSL", "TLS"]);
}

fn not_offered(context: &Context) {
    let database = context.database();
    for mode in ["true", "require", "verify-ca"] {
        let output = Xtask::migrate(&database).env("POSTGRES_SSL", mode).run();
        output.ends(3).within(std::time::Duration::from_secs(10)).says("TLS");
    }
    Xtask::migrate(&database).env("POSTGRES_SSL", "prefer").run().ends(0);
}

/// The settings that let xtask in let the backend in, and no others.
fn both_programs_connect_the_same_way(context: &Context) {
    let mut secured = Secured::start(context);
    let (database, admin) = (&secured.database, &mut secured.admin);
    let password = "two  spaces, ' and @";
    let sql = format!(
        "ALTER ROLE \"{}\" PASSWORD '{}'",
        database.owner,
        password.replace('\'', "''")
    );
    admin.batch_execute(&sql).unwrap();
    let string = |mode: &str, root: &PathBuf| {
        format!(
            "host=localhost port={} user={} dbname={} password='{}' sslmode={mode} sslrootcert='{}'",
            database.port,
            database.owner,
            database.name,
            password.replace('\'', "\\'"),
            root.display()
        )
    };
    let (right, wrong) = (&secured.right, &secured.wrong);
    for (encrypted, settings) in [
        (
            true,
            [
                ("verify-full", right, true),
                ("verify-full", wrong, false),
                ("allow", right, true),
            ],
        ),
        (
            false,
            [
                ("prefer", right, true),
                ("allow", right, true),
                ("require", right, false),
            ],
        ),
    ] {
        let kind = if encrypted { "hostssl" } else { "hostnossl" };
        let file: String = admin.query_one("SHOW hba_file", &[]).unwrap().get(0);
        let edit = format!("sed -i -E ''s/^host(no)?ssl /{kind} /'' {file}");
        admin
            .batch_execute(&format!("COPY (SELECT) TO PROGRAM '{edit}'"))
            .unwrap();
        admin.batch_execute("SELECT pg_reload_conf()").unwrap();
        for (mode, root, lets_in) in settings {
            let url = string(mode, root);
            let output = Xtask::new(["migrate"]).env("DATABASE_URL", &url).run();
            output.ends(if lets_in { 0 } else { 3 }).hides(password);
            let address = free_address();
            let mut running = backend(address).env("DATABASE_URL", &url).spawn().unwrap();
            let report = wait::until("an answer of the backend", Duration::from_secs(30), || {
                get(address, "/health/ready")
            });
            running.kill().unwrap();
            running.wait().unwrap();
            assert_eq!(report.0 == 200, lets_in, "{kind}, {mode}: {}", report.1);
        }
    }
}
