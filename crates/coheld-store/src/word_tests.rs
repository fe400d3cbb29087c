use super::*;

fn round_trip_float(value: f64) -> bool {
    from_float(value).is_some_and(|word| match decode(word) {
        Ok(Scalar::Float(back)) => back.to_bits() == value.to_bits(),
        _ => false,
    })
}

#[test]
fn integers_of_sixty_bits_fit() {
    for value in [0, 1, -1, 41, INTEGER_MIN, INTEGER_MAX] {
        let word = from_int(value).unwrap();
        assert_eq!(decode(word).unwrap(), Scalar::Integer(value));
        assert_eq!(to_int(word), Some(value));
    }
    assert_eq!(from_int(INTEGER_MAX + 1), None);
    assert_eq!(from_int(INTEGER_MIN - 1), None);
    assert_eq!(from_int(i64::MIN), None);
}

#[test]
fn moderate_floats_fit() {
    let smallest = f64::from_bits((1023 - 64) << 52);
    let largest = f64::from_bits((1023 + 63) << 52 | ((1 << 52) - 1));
    for value in [0.0, 1.0, 0.1, 1e-5, 1e18, smallest, largest, f64::INFINITY] {
        assert!(round_trip_float(value), "{value}");
        assert!(round_trip_float(-value), "-{value}");
    }
    assert!(round_trip_float(f64::from_bits(0x7FF8 << 48)));
    for value in [
        f64::MIN_POSITIVE,
        5e-324,
        f64::MAX,
        2f64.powi(64),
        2f64.powi(-65),
    ] {
        assert_eq!(from_float(value), None, "{value}");
    }
    assert_eq!(from_float(f64::from_bits(0x7FF8 << 48 | 1)), None);
    assert_eq!(from_float(f64::from_bits(0xFFF8 << 48)), None);
}

#[test]
fn constants_are_distinct() {
    let all = [
        EMPTY,
        NONE,
        FALSE,
        TRUE,
        ZERO,
        NEGATIVE_ZERO,
        INFINITY,
        NEGATIVE_INFINITY,
        NAN,
    ];
    for (position, word) in all.iter().enumerate() {
        assert!(!all[..position].contains(word));
        assert!(!owns(*word));
        decode(*word).unwrap();
    }
}

#[test]
fn short_text_and_bytes() {
    for text in [
        "",
        "a",
        "1234567",
        "\u{e9}\u{e9}\u{e9}",
        "\0\0",
        "\u{1F600}abc",
    ] {
        let word = from_str(text).unwrap();
        match decode(word).unwrap() {
            Scalar::Str(short) => assert_eq!(short.as_str().unwrap(), text),
            other => panic!("{other:?}"),
        }
        match decode(from_bytes(text.as_bytes()).unwrap()).unwrap() {
            Scalar::Bytes(short) => assert_eq!(short.as_bytes(), text.as_bytes()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(from_str("12345678"), None);
    assert_eq!(from_bytes(b"12345678"), None);
    assert_ne!(from_str("\0"), from_str(""));
}

#[test]
fn blocks_and_edges() {
    let word = from_block(0x1230);
    assert!(owns(word));
    assert_eq!(decode(word).unwrap(), Scalar::Block(0x1230));
    let edge = 0xBEEF << 48 | 0x4560 | tag::EDGE;
    assert!(owns(edge));
    assert_eq!(decode(edge).unwrap(), Scalar::Edge(edge));
}

#[test]
fn impossible_words_are_errors() {
    let bad = [
        16,                            // EMPTY with other bits
        8,                             // a tag of lanes
        15,                            // no tag
        8 << 4 | tag::CONSTANT,        // no constant
        8 << 4 | tag::STR,             // too long
        0xFF00 | 1 << 4 | tag::STR,    // not UTF-8
        0x61_6100 | 1 << 4 | tag::STR, // bytes after the end
        0x6100 | tag::BYTES,           // bytes after the end
        1 << 48 | 16 | tag::BLOCK,     // beyond every segment
    ];
    for word in bad {
        assert!(
            matches!(decode(word), Err(StoreError::Corrupted(_))),
            "{word:#x}"
        );
    }
}

proptest::proptest! {
    #[test]
    fn decode_never_panics_and_is_the_inverse(word: u64) {
        match decode(word) {
            Ok(Scalar::Integer(value)) => assert_eq!(from_int(value), Some(word)),
            Ok(Scalar::Float(value)) => assert_eq!(from_float(value), Some(word)),
            Ok(Scalar::Str(short)) => assert_eq!(from_str(short.as_str().unwrap()), Some(word)),
            Ok(Scalar::Bytes(short)) => assert_eq!(from_bytes(short.as_bytes()), Some(word)),
            Ok(Scalar::Block(offset)) => assert_eq!(from_block(offset), word),
            _ => {}
        }
    }
}
