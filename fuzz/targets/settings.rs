//! Any DATABASE_URL, with any host and port beside it, is obeyed or refused, and no message shows the password.
#![no_main]

use connection::Settings;
use connection::settings::{Defaults, Parameters};
use libfuzzer_sys::fuzz_target;

const DEFAULTS: Defaults = Defaults {
    database: "shop",
    user: "shop_owner",
};
const PASSWORD: &str = "never-to-be-seen";

fuzz_target!(|given: (String, String, String)| {
    let (url, host, port) = given;
    let variable = |name: &str| -> Result<Option<String>, String> {
        Ok(match name {
            "DATABASE_URL" => Some(url.clone()).filter(|url| !url.is_empty()),
            "POSTGRES_HOST" => Some(host.clone()),
            "POSTGRES_PORT" => Some(port.clone()),
            "POSTGRES_PASSWORD" => Some(PASSWORD.to_owned()),
            _ => None,
        })
    };
    let Ok(parameters) = Parameters::from_variables(DEFAULTS, variable) else { return };
    let told = match Settings::resolve(&parameters) {
        Ok(settings) => format!("{settings} {settings:?} {:?}", settings.addresses()),
        Err(error) => format!("{error} {error:?}"),
    };
    assert!(!told.contains(PASSWORD) || url.contains(PASSWORD) || host.contains(PASSWORD), "{told}");
});
