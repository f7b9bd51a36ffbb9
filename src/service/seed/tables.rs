//! What made-up data is made of. Addresses, domains and telephone numbers are from the ranges that are kept free for
//! examples (RFC 5737, RFC 3849, RFC 2606; Ofcom's and NANPA's numbers for drama).

/// Given names in Latin script.
pub(super) const LATIN_FIRST: [&str; 24] = [
    "Ada", "Bruno", "Clara", "Dario", "Edith", "Felix", "Greta", "Hugo", "Ingrid", "Jonas", "Katja", "Leo", "Marta",
    "Nils", "Olga", "Paul", "Quentin", "Rosa", "Stefan", "Tessa", "Ursula", "Viktor", "Wanda", "Zoë",
];

/// Family names in Latin script.
pub(super) const LATIN_LAST: [&str; 24] = [
    "Ashvale",
    "Birkholm",
    "Corwick",
    "Dunmere",
    "Ellerbrook",
    "Farnwood",
    "Grünwald",
    "Hartfell",
    "Inglemoor",
    "Jarrowby",
    "Kestrelli",
    "Lindqvarn",
    "Marlowick",
    "Northgate",
    "Oakhurst",
    "Pendrell",
    "Quillby",
    "Ravensworth",
    "Silverholt",
    "Thornbury",
    "Umberfield",
    "Valloire",
    "Westerling",
    "Yarrowdale",
];

/// Given names in Cyrillic script; the second half are women's.
pub(super) const CYRILLIC_FIRST: [&str; 16] = [
    "Антон",
    "Борис",
    "Виктор",
    "Глеб",
    "Денис",
    "Егор",
    "Илья",
    "Кирилл",
    "Алла",
    "Вера",
    "Дарья",
    "Елена",
    "Жанна",
    "Ирина",
    "Ольга",
    "Юлия",
];

/// Family names in Cyrillic script, in men's form; women's takes an `а`.
pub(super) const CYRILLIC_LAST: [&str; 16] = [
    "Берёзов",
    "Ветров",
    "Горницын",
    "Дубравин",
    "Журавлин",
    "Зимогоров",
    "Камышин",
    "Лугов",
    "Морошкин",
    "Озёрнов",
    "Полянин",
    "Родников",
    "Снежин",
    "Туманов",
    "Хвойнов",
    "Ясенев",
];

/// Domains of mail addresses.
pub(super) const DOMAINS: [&str; 3] = ["example.org", "example.com", "example.net"];

/// What somebody does: a role's name, and the permissions that come with it.
pub(super) const DUTIES: [(&str, &[&str]); 10] = [
    ("Support", &["users:read", "history:read", "tickets:answer"]),
    (
        "Administration",
        &["users:read", "users:write", "roles:write", "groups:write"],
    ),
    ("Audit", &["users:read", "history:read", "audit:read"]),
    ("Campaigns", &["campaigns:read", "campaigns:send"]),
    ("Reports", &["reports:read"]),
    ("Billing", &["invoices:read", "invoices:pay"]),
    ("Lists", &["subscribers:read", "subscribers:import"]),
    ("Templates", &["templates:read", "templates:write"]),
    ("Integration", &["webhooks:write", "tokens:write"]),
    ("Operations", &["alerts:publish", "directory:sync"]),
];

/// Who does it: added to the duty's name.
pub(super) const RANKS: [&str; 5] = ["", " lead", " deputy", " trainee", " night shift"];

/// Where a group is.
pub(super) const PLACES: [&str; 10] = [
    "Berlin",
    "Lisbon",
    "Oslo",
    "Kraków",
    "Riga",
    "Almaty",
    "Toronto",
    "Nairobi",
    "Osaka",
    "Montevideo",
];

/// What a group works on.
pub(super) const DEPARTMENTS: [&str; 5] = ["Sales", "Marketing", "Service", "Logistics", "Research"];

/// Browser, system, device, User-Agent.
pub(super) const CLIENTS: [(&str, &str, Option<&str>, &str); 8] = [
    (
        "Firefox 140",
        "Linux",
        None,
        "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    ),
    (
        "Firefox 141",
        "Windows 10",
        None,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:141.0) Gecko/20100101 Firefox/141.0",
    ),
    (
        "Chrome 138",
        "Windows 10",
        None,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    (
        "Chrome 138",
        "Linux",
        None,
        "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36",
    ),
    (
        "Edge 138",
        "Windows 10",
        None,
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36 Edg/138.0.0.0",
    ),
    (
        "Safari 18",
        "Mac OS X 10",
        Some("Mac"),
        "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15",
    ),
    (
        "Mobile Safari 18",
        "iOS 18",
        Some("iPhone"),
        "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    ),
    (
        "Chrome Mobile 138",
        "Android 15",
        Some("Pixel 9"),
        "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Mobile Safari/537.36",
    ),
];

/// Country, its code, city, degrees north and east.
pub(super) const LOCATIONS: [(&str, &str, &str, f64, f64); 8] = [
    ("Germany", "DE", "Berlin", 52.52, 13.41),
    ("Portugal", "PT", "Lisbon", 38.72, -9.14),
    ("Norway", "NO", "Oslo", 59.91, 10.75),
    ("Latvia", "LV", "Riga", 56.95, 24.11),
    ("Kazakhstan", "KZ", "Almaty", 43.24, 76.89),
    ("Canada", "CA", "Toronto", 43.65, -79.38),
    ("Kenya", "KE", "Nairobi", -1.29, 36.82),
    ("Japan", "JP", "Osaka", 34.69, 135.5),
];
