//! Browser, operating system and device out of a User-Agent.
//!
//! Woothee knows the families; its tables are compiled in, so it costs nothing at the start. What it does not tell is
//! filled in here: programs that are no browsers, models of Android devices, and names as people know them.
//!
//! A User-Agent is a claim of the client, for people to read; nothing may be decided by it. Versions that browsers have
//! frozen (Windows 10, macOS 10.15, Android 10) are shown as they are claimed.

use woothee::parser::{Parser, WootheeResult};
use woothee::woothee::VALUE_UNKNOWN;

/// The longest User-Agent that is read and kept, in characters.
const USER_AGENT_CHARACTERS: usize = 512;
/// The longest name of a program or model that is believed to be one, in bytes.
const NAME_BYTES: usize = 48;

/// Browsers that woothee takes for the one that they are built on, by the product in their User-Agent.
const DERIVED_BROWSERS: [(&str, &str); 7] = [
    ("HeadlessChrome/", "Headless Chrome"),
    ("Ddg/", "DuckDuckGo"),
    ("HuaweiBrowser/", "Huawei Browser"),
    ("MiuiBrowser/", "Mi Browser"),
    ("OPT/", "Opera Touch"),
    ("UCBrowser/", "UC Browser"),
    ("Whale/", "Whale"),
];

/// What a client says about itself. Every part may be missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// Family and major version: "Firefox 140"; for other programs their product: "curl 8".
    pub browser: Option<String>,
    /// Name, and major version where it tells one: "Windows 10", "Android 15", "macOS 10.15", "iOS 18", "Linux".
    pub operating_system: Option<String>,
    /// A model ("Pixel 9", "iPhone"), or "Desktop", "Mobile", "Tablet", "Bot".
    pub device: Option<String>,
    /// The User-Agent itself, without control characters, cut to 512 characters.
    pub user_agent: Option<String>,
}

/// Reads a User-Agent. An absent, empty or unknown one leaves parts missing; it never fails.
#[must_use]
pub fn client_of(user_agent: Option<&str>) -> Client {
    let agent: String = user_agent
        .unwrap_or_default()
        .chars()
        .filter(|c| !c.is_control())
        .take(USER_AGENT_CHARACTERS)
        .collect();
    let agent = agent.trim();
    if agent.is_empty() {
        return Client::default();
    }
    let parsed = Parser::new().parse(agent).unwrap_or_default();
    Client {
        browser: browser(agent, &parsed),
        operating_system: operating_system(agent, &parsed),
        device: device(agent, &parsed),
        user_agent: Some(agent.to_owned()),
    }
}

fn browser(agent: &str, parsed: &WootheeResult<'_>) -> Option<String> {
    if parsed.category == "crawler" {
        return products(agent)
            .find(|(name, _)| is_crawler(name))
            .map(|(name, version)| titled(name, version))
            .or_else(|| {
                Some(
                    if parsed.name == "misc crawler" {
                        "Crawler"
                    } else {
                        parsed.name
                    }
                    .to_owned(),
                )
            });
    }
    if let Some((product, name)) = DERIVED_BROWSERS.iter().find(|(product, _)| agent.contains(product)) {
        return Some(titled(name, version_after(agent, product)));
    }
    match parsed.name {
        // Programs name themselves first: "curl/8.5.0", "okhttp/4.12.0", "Acme/3.1 CFNetwork/1494 Darwin/23.4.0".
        "" | VALUE_UNKNOWN | "HTTP Library" => products(agent)
            .next()
            .filter(|(name, _)| *name != "Mozilla")
            .map(|(name, version)| titled(name, version)),
        // The version that it claims for itself is always 4.0.
        "Webview" if parsed.os == "Android" => Some(titled("Android WebView", version_after(agent, "Chrome/"))),
        "Webview" => Some("iOS WebView".to_owned()),
        "SamsungBrowser" => Some(titled("Samsung Internet", parsed.version)),
        name => Some(titled(name, parsed.version)),
    }
}

fn operating_system(agent: &str, parsed: &WootheeResult<'_>) -> Option<String> {
    match parsed.os {
        "" | VALUE_UNKNOWN => None,
        "iPhone" | "iPad" | "iPod" | "iOS" => Some(titled("iOS", &parsed.os_version)),
        "Android" => Some(titled("Android", &parsed.os_version)),
        "Mac OSX" => Some(mac_os(version_after(agent, "Mac OS X "))),
        "Windows UNKNOWN Ver" => Some("Windows".to_owned()),
        "Windows Phone OS" => Some(titled("Windows Phone", &parsed.os_version)),
        name => Some(name.to_owned()),
    }
}

fn device(agent: &str, parsed: &WootheeResult<'_>) -> Option<String> {
    let name = match (parsed.category, parsed.os) {
        ("crawler", _) => "Bot",
        (_, "iPhone" | "iPad" | "iPod") => parsed.os,
        (_, "Android") => android_device(agent),
        ("pc", _) => "Desktop",
        ("smartphone" | "mobilephone", _) => "Mobile",
        ("appliance", os) if os != VALUE_UNKNOWN => os,
        _ => return None,
    };
    Some(name.to_owned())
}

/// `Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A) …`: what follows the version, but for what is said in its stead.
fn android_device(agent: &str) -> &str {
    let comment = agent
        .split_once('(')
        .map_or("", |(_, rest)| rest.split(')').next().unwrap_or_default());
    let mut parts = comment
        .split(';')
        .map(str::trim)
        .skip_while(|part| !part.starts_with("Android"))
        .skip(1)
        .peekable();
    if parts.peek() == Some(&"Tablet") {
        return "Tablet";
    }
    parts
        .map(|part| part.split(" Build").next().unwrap_or_default().trim())
        .find(|part| is_model(part))
        // Chrome's convention: phones say "Mobile", tablets do not.
        .unwrap_or(if agent.contains("Mobile") { "Mobile" } else { "Tablet" })
}

/// Not "K" (Chrome's stand-in for every model), not a form factor, a revision or a locale ("en-us").
fn is_model(part: &str) -> bool {
    let is_locale = part.len() == 5 && matches!(part.as_bytes().get(2), Some(b'-' | b'_')) && part.is_ascii();
    part.len() > 1
        && part.len() <= NAME_BYTES
        && !is_locale
        && !matches!(part, "Mobile" | "wv")
        && !part.starts_with("rv:")
}

/// "10.15" and before count by their second number, later ones by their first; `_` separates, too.
fn mac_os(version: &str) -> String {
    let mut numbers = version.split(['.', '_']);
    match (numbers.next(), numbers.next()) {
        (Some("10"), Some(minor)) => format!("macOS 10.{minor}"),
        _ => titled("macOS", version),
    }
}

/// The name with the version's first number, if it has one.
fn titled(name: &str, version: &str) -> String {
    let major: String = version.chars().take_while(char::is_ascii_digit).take(9).collect();
    if major.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {major}")
    }
}

/// The digits, dots and underscores after a marker; empty when there are none.
fn version_after<'a>(agent: &'a str, marker: &str) -> &'a str {
    let rest = agent.split_once(marker).map_or("", |(_, rest)| rest);
    rest.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == '_'))
        .next()
        .unwrap_or_default()
}

/// The products, `name/version` (RFC 9110, section 10.1.5), in comments, too.
fn products(agent: &str) -> impl Iterator<Item = (&str, &str)> {
    agent
        .split([' ', ';', ',', '(', ')'])
        .filter_map(|word| word.split_once('/'))
        .filter(|(name, _)| !name.is_empty() && name.len() <= NAME_BYTES)
}

fn is_crawler(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["bot", "crawler", "spider"].iter().any(|kind| name.contains(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOWS: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko)";
    const IPHONE: &str =
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
    const ANDROID: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko)";

    /// "browser | operating system | device", a dash for what is missing.
    fn read(agent: &str) -> String {
        let client = client_of(Some(agent));
        assert_eq!(client.user_agent.as_deref(), Some(agent));
        [client.browser, client.operating_system, client.device]
            .map(|part| part.unwrap_or("-".into()))
            .join(" | ")
    }

    #[test]
    fn browsers_on_desktops() {
        for (rest, expected) in [
            ("Chrome/141.0.0.0 Safari/537.36", "Chrome 141"),
            ("Chrome/141.0.0.0 Safari/537.36 Edg/141.0.0.0", "Edge 141"),
            ("Chrome/140.0.0.0 Safari/537.36 OPR/124.0.0.0", "Opera 124"),
            ("Chrome/138.0.0.0 YaBrowser/25.8.0.0 Safari/537.36", "Yandex Browser 25"),
            ("Chrome/140.0.0.0 Safari/537.36 Vivaldi/7.6.3797.52", "Vivaldi 7"),
            ("Chrome/138.0.0.0 Whale/4.33.325.17 Safari/537.36", "Whale 4"),
            ("HeadlessChrome/141.0.0.0 Safari/537.36", "Headless Chrome 141"),
        ] {
            assert_eq!(
                read(&format!("{WINDOWS} {rest}")),
                format!("{expected} | Windows 10 | Desktop")
            );
        }
        for (agent, expected) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox 140 | Windows 10 | Desktop",
            ),
            (
                "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox 140 | Linux | Desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10.15; rv:140.0) Gecko/20100101 Firefox/140.0",
                "Firefox 140 | macOS 10.15 | Desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
                "Safari 18 | macOS 10.15 | Desktop",
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15",
                "Safari 17 | macOS 14 | Desktop",
            ),
            (
                "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                "Chrome 141 | Linux | Desktop",
            ),
            (
                "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                "Chrome 141 | ChromeOS | Desktop",
            ),
            (
                "Mozilla/5.0 (Windows NT 6.1; Trident/7.0; rv:11.0) like Gecko",
                "Internet Explorer 11 | Windows 7 | Desktop",
            ),
        ] {
            assert_eq!(read(agent), expected, "{agent}");
        }
    }

    #[test]
    fn browsers_on_phones_and_tablets() {
        for (rest, expected) in [
            ("Version/18.5 Mobile/15E148 Safari/604.1", "Safari 18"),
            ("CriOS/141.0.7390.41 Mobile/15E148 Safari/604.1", "Chrome 141"),
            ("FxiOS/140.0 Mobile/15E148 Safari/605.1.15", "Firefox 140"),
            (
                "Version/18.0 EdgiOS/141.0.0.0 Mobile/15E148 Safari/605.1.15",
                "Edge 141",
            ),
            ("Version/18.5 Mobile/15E148 Safari/605.1.15 Ddg/18.5", "DuckDuckGo 18"),
            ("Mobile/15E148", "iOS WebView"),
        ] {
            assert_eq!(
                read(&format!("{IPHONE} {rest}")),
                format!("{expected} | iOS 18 | iPhone")
            );
        }
        for (rest, expected) in [
            (
                "Chrome/141.0.0.0 Mobile Safari/537.36",
                "Chrome 141 | Android 10 | Mobile",
            ),
            ("Chrome/141.0.0.0 Safari/537.36", "Chrome 141 | Android 10 | Tablet"),
            (
                "Chrome/141.0.0.0 Mobile Safari/537.36 EdgA/141.0.0.0",
                "Edge 141 | Android 10 | Mobile",
            ),
            (
                "Chrome/141.0.0.0 Mobile Safari/537.36 OPR/92.0.0.0",
                "Opera 92 | Android 10 | Mobile",
            ),
            (
                "SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36",
                "Samsung Internet 28 | Android 10 | Mobile",
            ),
        ] {
            assert_eq!(read(&format!("{ANDROID} {rest}")), expected);
        }
        for (agent, expected) in [
            (
                "Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
                "Safari 18 | iOS 18 | iPad",
            ),
            (
                "Mozilla/5.0 (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0",
                "Firefox 140 | Android 15 | Mobile",
            ),
            (
                "Mozilla/5.0 (Android 15; Tablet; rv:140.0) Gecko/140.0 Firefox/140.0",
                "Firefox 140 | Android 15 | Tablet",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.7390.43 Mobile Safari/537.36",
                "Chrome 141 | Android 15 | Pixel 9",
            ),
            (
                "Mozilla/5.0 (Linux; Android 14; SM-X710) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36",
                "Chrome 141 | Android 14 | SM-X710",
            ),
            (
                "Mozilla/5.0 (Linux; Android 15; Pixel 8 Build/AP4A.250205.002; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/141.0.7390.43 Mobile Safari/537.36",
                "Android WebView 141 | Android 15 | Pixel 8",
            ),
            (
                "Mozilla/5.0 (Linux; U; Android 4.4.2; en-us; Nexus 5 Build/KOT49H) AppleWebKit/534.30 (KHTML, like Gecko) Version/4.0 Mobile Safari/534.30",
                "Safari 4 | Android 4 | Nexus 5",
            ),
            (
                "Dalvik/2.1.0 (Linux; U; Android 14; Pixel 8 Build/UQ1A.240205.002)",
                "Dalvik 2 | Android 14 | Pixel 8",
            ),
        ] {
            assert_eq!(read(agent), expected, "{agent}");
        }
    }

    #[test]
    fn programs_and_crawlers() {
        for (agent, expected) in [
            ("curl/8.5.0", "curl 8 | - | -"),
            ("python-requests/2.32.3", "python-requests 2 | - | -"),
            ("okhttp/4.12.0", "okhttp 4 | - | -"),
            ("Go-http-client/2.0", "Go-http-client 2 | - | -"),
            ("PostmanRuntime/7.43.0", "PostmanRuntime 7 | - | -"),
            ("Apache-HttpClient/4.5.14 (Java/17.0.9)", "Apache-HttpClient 4 | - | -"),
            ("Acme/3.1 CFNetwork/1494.0.7 Darwin/23.4.0", "Acme 3 | iOS | Mobile"),
            (
                "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot 2 | - | Bot",
            ),
            (
                "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
                "bingbot 2 | - | Bot",
            ),
            (
                "Mozilla/5.0 (Linux; Android 6.0.1; Nexus 5X Build/MMB29P) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
                "Googlebot 2 | - | Bot",
            ),
            (
                "Mozilla/5.0 AppleWebKit/537.36 (KHTML, like Gecko; compatible; ExampleBot/1.2; +https://example.org/bot)",
                "ExampleBot 1 | - | Bot",
            ),
            ("Mozilla/5.0", "- | - | -"),
            ("-", "- | - | -"),
            ("what is this", "- | - | -"),
            ("/1.0", "- | - | -"),
        ] {
            assert_eq!(read(agent), expected, "{agent}");
        }
    }

    #[test]
    fn nothing_said_is_nothing_known() {
        for agent in [None, Some(""), Some(" \t "), Some("\r\n\0")] {
            assert_eq!(client_of(agent), Client::default(), "{agent:?}");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_and_clean() {
        let client = client_of(Some("cu\u{1b}rl/8\r\n.5\u{85}\0"));
        assert_eq!(client.user_agent.as_deref(), Some("curl/8.5"));
        assert_eq!(client.browser.as_deref(), Some("curl 8"));

        let client = client_of(Some(&"é".repeat(4_000)));
        assert_eq!(client.user_agent.unwrap().chars().count(), 512);

        let long = format!("{}/1 (Linux; Android 15; {})", "x".repeat(200), "y".repeat(200));
        let client = client_of(Some(&long));
        assert_eq!((client.browser, client.device.as_deref()), (None, Some("Tablet")));
        assert_eq!(
            client_of(Some(&format!("tool/{}", "9".repeat(400)))).browser.as_deref(),
            Some("tool 999999999")
        );
    }
}
