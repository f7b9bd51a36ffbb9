//! The demonstration.

use crate::support::process::{Doorward, sign_in};

fn left_behind(doorward: &Doorward) -> Vec<String> {
    std::fs::read_dir(doorward.folder())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect()
}

#[test]
fn everybody_in_the_table_signs_in_and_nothing_stays() {
    for signal in ["-INT", "-TERM"] {
        let doorward = Doorward::new();
        let mut serving = doorward.serve(&["demo"]);
        serving.wait_until(|s| s.stdout().contains("user000001@acme"));
        let table = serving.stdout().to_owned();
        let mut tried = 0;
        for line in table.lines().filter(|line| line.contains('@')) {
            let cells: Vec<&str> = line
                .split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect();
            for login in cells[0]
                .trim_end_matches(" …")
                .split(", ")
                .filter(|login| !login.starts_with("user"))
            {
                assert_eq!(sign_in(serving.address, login, cells[1]), [""; 0], "{line}");
                tried += 1;
            }
        }
        assert_eq!(tried, 6, "{table}");
        assert_eq!(left_behind(&doorward).len(), 1, "the temporary folder only");
        let (code, stderr) = serving.stop(signal);
        assert_eq!(code, Some(0), "{stderr}");
        assert_eq!(left_behind(&doorward), [""; 0], "{signal}");
    }
}
