//! What the fuzz targets look for, on every run of the tests and with the stable compiler: each seed and each finding of
//! `tests/fuzz/corpus` still holds, and so do some bytes that nobody thought of.

// A library of its own in tests/fuzz, where the targets use it.
#[expect(unreachable_pub)]
mod properties;

use std::{collections::BTreeSet, ffi::OsStr, fs, path::PathBuf, sync::LazyLock};

use proptest::{
    collection::vec,
    prelude::*,
    sample::{Index, select},
};

use properties::ALL;

/// What a target is given by `cargo fuzz` too.
type Corpus = Vec<(PathBuf, Vec<u8>)>;

static CORPORA: LazyLock<Vec<Corpus>> = LazyLock::new(|| ALL.iter().map(|(target, _)| corpus(target)).collect());

fn folder(below: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(below)
}

/// What is in a folder, in the order of the names.
fn entries(below: &str) -> BTreeSet<PathBuf> {
    fs::read_dir(folder(below)).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn corpus(target: &str) -> Corpus {
    entries(&format!("corpus/{target}")).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn whatever_was_found_holds_again() {
    for ((target, hold), corpus) in ALL.iter().zip(&*CORPORA) {
        assert!(corpus.len() > 7, "{target} has a corpus");
        for (path, input) in corpus {
            // Shown if it fails.
            println!("{}", path.display());
            hold(input);
        }
    }
}

/// A property without a target is never fuzzed, one without a corpus starts from nothing.
#[test]
fn every_property_has_a_target_and_a_corpus() {
    let named = |paths: BTreeSet<PathBuf>| -> BTreeSet<String> {
        paths.iter().filter_map(|path| path.file_stem().and_then(OsStr::to_str)).map(str::to_owned).collect()
    };
    let all: BTreeSet<String> = ALL.iter().map(|(target, _)| (*target).to_owned()).collect();
    assert_eq!(named(entries("targets")), all);
    assert_eq!(named(entries("corpus")), all);
    let manifest: toml::Table = fs::read_to_string(folder("Cargo.toml")).unwrap().parse().unwrap();
    let bins = manifest["bin"].as_array().unwrap().iter().map(|bin| bin["name"].as_str().unwrap().to_owned());
    assert_eq!(bins.collect::<BTreeSet<_>>(), all);
}

/// One thing that happens to a seed.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, Index),
    /// A piece of it comes again elsewhere.
    Repeat(Index, Index, Index),
    Cut(Index),
}

impl Change {
    fn of(&self, bytes: &mut Vec<u8>) {
        let at = |index: &Index, bytes: &[u8]| index.index(bytes.len() + 1);
        let range = |from: &Index, to: &Index, bytes: &[u8]| {
            let (from, to) = (at(from, bytes), at(to, bytes));
            from.min(to)..from.max(to)
        };
        match self {
            Self::Set(place, byte) if !bytes.is_empty() => {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            Self::Set(..) => {}
            Self::Insert(place, new) => {
                let place = at(place, bytes);
                bytes.splice(place..place, new.iter().copied());
            }
            Self::Remove(from, to) => {
                bytes.drain(range(from, to, bytes));
            }
            Self::Repeat(from, to, place) => {
                let piece = bytes[range(from, to, bytes)].to_vec();
                let place = at(place, bytes);
                bytes.splice(place..place, piece);
            }
            Self::Cut(len) => bytes.truncate(at(len, bytes)),
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    let place = any::<Index>;
    // The numbers at which decoders turn: nothing, all, the signs, and what frames and maps begin with.
    let telling =
        select(vec![0x00, 0x01, 0x7f, 0x80, 0x81, 0x91, 0xc0, 0xc1, 0xd9, 0xdc, 0xdd, 0xde, 0xdf, 0xff, b'\n', b'#', b'+']);
    prop_oneof![
        4 => (place(), prop_oneof![any::<u8>(), telling]).prop_map(|(place, byte)| Change::Set(place, byte)),
        2 => (place(), vec(any::<u8>(), 1..8)).prop_map(|(place, new)| Change::Insert(place, new)),
        1 => (place(), place()).prop_map(|(from, to)| Change::Remove(from, to)),
        1 => (place(), place(), place()).prop_map(|(from, to, place)| Change::Repeat(from, to, place)),
        1 => place().prop_map(Change::Cut),
    ]
}

proptest! {
    #[test]
    fn any_bytes_hold(input in vec(any::<u8>(), 0..300)) {
        for (_, hold) in ALL {
            hold(&input);
        }
    }

    /// Bytes that were frames, names or a configuration, and are not quite any more.
    #[test]
    fn a_seed_with_a_few_changes_holds(seed in any::<Index>(), changes in vec(change(), 1..6)) {
        for ((_, hold), corpus) in ALL.iter().zip(&*CORPORA) {
            let mut input = seed.get(corpus).1.clone();
            for change in &changes {
                change.of(&mut input);
            }
            hold(&input);
        }
    }
}
