//! Writes small MaxMind DB files for tests: <https://maxmind.github.io/MaxMind-DB/>, records of 32 bits, an IPv6 tree.

use std::io::Write;

use ipnet::IpNet;
use serde_json::{Value, json};
use tempfile::NamedTempFile;

/// The format's integer types of the metadata; every other integer is a uint32 (6).
const INTEGERS: [(&str, u8); 5] = [
    ("binary_format_major_version", 5),
    ("binary_format_minor_version", 5),
    ("build_epoch", 9),
    ("ip_version", 5),
    ("record_size", 5),
];

#[derive(Clone, Copy)]
enum Slot {
    Empty,
    Node(usize),
    Data(usize),
}

/// The bytes of a database whose type is `kind`, with a record for each network; networks must not overlap.
pub fn write(kind: &str, records: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Slot::Empty; 2]];
    let mut data = Vec::new();
    for (network, record) in records {
        insert(&mut nodes, network.parse().unwrap(), data.len());
        encode(record, &mut data);
    }
    let mut file = Vec::new();
    for slot in nodes.iter().flatten() {
        let pointer = match slot {
            Slot::Empty => nodes.len(),
            Slot::Node(index) => *index,
            Slot::Data(offset) => nodes.len() + 16 + offset,
        };
        file.extend(u32::try_from(pointer).unwrap().to_be_bytes());
    }
    file.extend([0; 16]);
    file.extend(data);
    file.extend(b"\xab\xcd\xefMaxMind.com");
    let metadata = json!({
        "binary_format_major_version": 2, "binary_format_minor_version": 0, "build_epoch": 1_767_225_600,
        "database_type": kind, "description": {"en": "made up"}, "ip_version": 6, "languages": ["en"],
        "node_count": nodes.len(), "record_size": 32,
    });
    encode(&metadata, &mut file);
    file
}

/// A file with these bytes, gone when it is dropped.
pub fn temporary(bytes: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".mmdb").unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn insert(nodes: &mut Vec<[Slot; 2]>, network: IpNet, offset: usize) {
    // IPv4 lives at ::/96 of the tree.
    let (bits, length) = match network {
        IpNet::V4(v4) => (u128::from(v4.network().to_bits()), v4.prefix_len() + 96),
        IpNet::V6(v6) => (v6.network().to_bits(), v6.prefix_len()),
    };
    let mut node = 0;
    for depth in 0..length {
        let side = usize::from(bits >> (127 - depth) & 1 == 1);
        if depth + 1 == length {
            assert!(
                matches!(nodes[node][side], Slot::Empty),
                "{network} overlaps another network"
            );
            nodes[node][side] = Slot::Data(offset);
            return;
        }
        node = match nodes[node][side] {
            Slot::Node(next) => next,
            Slot::Data(_) => panic!("{network} overlaps another network"),
            Slot::Empty => {
                nodes.push([Slot::Empty; 2]);
                let next = nodes.len() - 1;
                nodes[node][side] = Slot::Node(next);
                next
            }
        };
    }
}

fn encode(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::String(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Number(number) => match number.as_u64() {
            Some(integer) => encode_integer(6, integer, out),
            None => {
                control(3, 8, out);
                out.extend(number.as_f64().unwrap().to_be_bytes());
            }
        },
        Value::Object(map) => {
            control(7, map.len(), out);
            for (key, value) in map {
                encode(&json!(key), out);
                match (INTEGERS.iter().find(|(name, _)| name == key), value.as_u64()) {
                    (Some((_, kind)), Some(integer)) => encode_integer(*kind, integer, out),
                    _ => encode(value, out),
                }
            }
        }
        Value::Array(items) => {
            control(11, items.len(), out);
            items.iter().for_each(|item| encode(item, out));
        }
        Value::Null | Value::Bool(_) => panic!("{value} is not needed by any test"),
    }
}

fn encode_integer(kind: u8, integer: u64, out: &mut Vec<u8>) {
    let bytes = integer.to_be_bytes();
    let significant = &bytes[integer.leading_zeros() as usize / 8..];
    control(kind, significant.len(), out);
    out.extend(significant);
}

fn control(kind: u8, size: usize, out: &mut Vec<u8>) {
    assert!(size < 29 + 256, "longer values are not needed by any test");
    let (short, more) = if size < 29 { (size, None) } else { (29, Some(size - 29)) };
    let short = u8::try_from(short).unwrap();
    if kind <= 7 {
        out.push(kind << 5 | short);
    } else {
        out.extend([short, kind - 7]);
    }
    out.extend(more.map(|more| u8::try_from(more).unwrap()));
}
