//! How many `SELECT 1` a second the backend's own pool does, to compare its requests with.
//!
//! `pool_select1 SECONDS TASKS`, with the backend's settings in the environment.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use backend::database::Database;
use backend::settings::{Settings, Variables};
use tokio::task::JoinSet;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, tasks] = arguments.as_slice() else {
        bail!("usage: pool_select1 SECONDS TASKS")
    };
    let length = Duration::from_secs(seconds.parse().context("SECONDS")?);
    let tasks: u32 = tasks.parse().context("TASKS")?;
    let settings = Settings::from_variables(&Variables::load()?)?;
    let database = Database::new(&settings.database)?;
    let begin = Instant::now();
    let mut workers = JoinSet::new();
    for _ in 0..tasks {
        let database = database.clone();
        workers.spawn(async move {
            let mut count = 0_u32;
            while begin.elapsed() < length {
                match database.query("SELECT 1", &[]).await {
                    Ok(_) => count += 1,
                    Err(failure) => bail!(failure.detail),
                }
            }
            Ok(count)
        });
    }
    let mut count = 0;
    while let Some(counted) = workers.join_next().await {
        count += counted??;
    }
    println!("{:.0}/s", f64::from(count) / begin.elapsed().as_secs_f64());
    Ok(())
}
