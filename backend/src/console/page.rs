//! What all pages have around them.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

const PAGES: [(&str, &str); 4] = [
    ("/console", "Overview"),
    ("/console/runs", "Runs"),
    ("/console/quarantine", "Quarantine"),
    ("/console/sync", "Sync"),
];

fn document(title: &str, body: &Markup, script: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " – Daydream Portal" }
                link rel="stylesheet" href="/console/console.css";
                @if script { script src="/console/live.js" defer {} }
            }
            (body)
        }
    }
}

/// A page for who is in; it follows a migration that runs.
pub(super) fn full(path: &str, title: &str, main: &Markup) -> Markup {
    let body = html! {
        body {
            a.skip href="#main" { "To the content" }
            header {
                strong { "Daydream Portal" }
                nav aria-label="Pages" {
                    @for (to, name) in PAGES {
                        a href=(to) aria-current=[(to == path).then_some("page")] { (name) }
                    }
                }
                form method="post" action="/console/logout" { button.quiet type="submit" { "Log out" } }
            }
            main #main { h1 { (title) } (main) }
        }
    };
    document(title, &body, true)
}

/// A page for everybody.
pub(super) fn bare(title: &str, main: &Markup) -> Markup {
    document(title, &html! { body.bare { main #main { (main) } } }, false)
}

/// A page that says what went wrong.
pub(super) fn error(status: StatusCode, text: &str) -> Response {
    let main = html! {
        h1 { (status.canonical_reason().unwrap_or("Error")) }
        p { (text) }
        p { a href="/console" { "To the overview" } }
    };
    (status, bare("Error", &main)).into_response()
}

/// Seconds as people read them.
pub(super) fn time(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.0} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{:.0} min", s / 60.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_page_is_text() {
        let page = full("/console", "<b>", &html! { p { "<script>" } }).into_string();
        assert!(page.contains("&lt;script&gt;") && !page.contains("<b>"), "{page}");
        assert!(page.contains(r#"<a href="/console" aria-current="page">"#), "{page}");
    }

    #[test]
    fn times() {
        assert_eq!([0.0123, 1.25, 600.0].map(time), ["12 ms", "1.2 s", "10 min"]);
    }
}
