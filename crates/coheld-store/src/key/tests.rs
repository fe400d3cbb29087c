use super::*;

const HASHER_SECRET: [u64; 2] = [0x1234_5678_9ABC_DEF0, 0x0FED_CBA9_8765_4321];

fn hasher() -> KeyHasher {
    KeyHasher::new(HASHER_SECRET)
}

/// A key that owns what it was made of.
fn with_float<T>(value: f64, then: impl FnOnce(Key<'_>) -> T) -> T {
    let mut scratch = [0; 8];
    let input = Input::float(value, &mut scratch);
    then(Key::from_input(&input, &hasher()).unwrap())
}

fn with_int<T>(value: i128, then: impl FnOnce(Key<'_>) -> T) -> T {
    let bytes = value.to_le_bytes();
    then(Key::big_int(&bytes, &hasher()))
}

fn int_is_float(integer: i128, float: f64) -> bool {
    with_int(integer, |left| {
        with_float(float, |right| {
            assert_eq!(left.same(&right), right.same(&left));
            assert!(!left.same(&right) || left.hash() == right.hash());
            left.same(&right)
        })
    })
}

#[test]
fn one_is_true_and_one_point_zero() {
    let one = Key::from_word(word::from_int(1).unwrap(), &hasher()).unwrap();
    let truth = Key::from_word(word::TRUE, &hasher()).unwrap();
    let float = Key::from_word(word::from_float(1.0).unwrap(), &hasher()).unwrap();
    assert!(one.same(&truth) && truth.same(&float) && float.same(&one));
    assert_eq!(truth.input(), Input::Word(word::TRUE));
    let text = Key::str("1", &hasher());
    assert!(!one.same(&text));
}

#[test]
fn zeros_meet() {
    let words = [
        word::from_int(0).unwrap(),
        word::FALSE,
        word::ZERO,
        word::NEGATIVE_ZERO,
    ];
    for left in words {
        for right in words {
            let left = Key::from_word(left, &hasher()).unwrap();
            assert!(left.same(&Key::from_word(right, &hasher()).unwrap()));
        }
    }
    let none = Key::from_word(word::NONE, &hasher()).unwrap();
    assert!(!none.same(&Key::from_word(word::FALSE, &hasher()).unwrap()));
}

#[test]
fn integers_meet_floats_at_every_size() {
    for exponent in 0..126 {
        let integer = 1i128 << exponent;
        let float = 2f64.powi(exponent);
        for (integer, float) in [(integer, float), (-integer, -float)] {
            assert!(int_is_float(integer, float), "2^{exponent}");
            assert!(!int_is_float(integer + 1, float), "2^{exponent}");
            assert!(!int_is_float(integer - 1, float), "2^{exponent}");
            assert!(!int_is_float(-integer, float), "2^{exponent}");
        }
    }
    assert!(int_is_float(3 << 80, 3.0 * 2f64.powi(80)));
    assert!(int_is_float(word::INTEGER_MIN.into(), -(2f64.powi(59))));
}

#[test]
fn the_largest_float_is_an_integer() {
    // (2^53 - 1) * 2^971
    let mut bytes = vec![0u8; 130];
    let mantissa = ((1u64 << 53) - 1) << (971 % 8);
    bytes[971 / 8..971 / 8 + 8].copy_from_slice(&mantissa.to_le_bytes());
    let integer = Key::big_int(&bytes, &hasher());
    assert!(with_float(f64::MAX, |float| float.same(&integer)
        && float.hash() == integer.hash()));
    assert!(with_float(f64::MIN, |float| !float.same(&integer)));
}

#[test]
fn fractions_and_extremes_are_themselves_only() {
    let values = [
        0.5,
        0.1,
        -0.1,
        1e-300,
        5e-324,
        1e300,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    for (position, left) in values.iter().enumerate() {
        for (other, right) in values.iter().enumerate() {
            let same = with_float(*left, |left| with_float(*right, |right| left.same(&right)));
            assert_eq!(same, position == other);
        }
    }
}

#[test]
fn nan_equals_nothing() {
    for value in [
        f64::NAN,
        f64::from_bits(0x7FF8 << 48 | 5),
        f64::from_bits(0xFFF8 << 48),
    ] {
        with_float(value, |key| {
            assert!(!key.equals_itself());
            assert!(!key.same(&key));
        });
    }
}

#[test]
fn text_and_bytes_are_apart() {
    for text in [
        "",
        "abc",
        "1234567",
        "12345678",
        "a text that is longer than any word",
    ] {
        let key = Key::str(text, &hasher());
        assert!(key.same(&Key::str(text, &hasher())));
        assert!(!key.same(&Key::bytes(text.as_bytes(), &hasher())));
        assert_eq!(key.input().inline_word().is_some(), text.len() <= 7);
        let again = Key::from_block(kind::STR, text.as_bytes(), &hasher()).unwrap();
        assert!(key.same(&again));
    }
    let surrogate = Key::from_block(kind::STR_SURROGATE, b"\xED\xA0\x80", &hasher()).unwrap();
    assert!(surrogate.same(&surrogate));
    assert!(!surrogate.same(&Key::bytes(b"\xED\xA0\x80", &hasher())));
    assert!(surrogate.input().inline_word().is_none());
}

#[test]
fn integers_are_made_minimal() {
    let wide = [5u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(
        Key::big_int(&wide, &hasher()).input(),
        Input::Word(word::from_int(5).unwrap())
    );
    let minus_one = [0xFFu8; 20];
    let key = Key::big_int(&minus_one, &hasher());
    assert_eq!(key.input(), Input::Word(word::from_int(-1).unwrap()));
    assert_eq!(
        Key::big_int(&[], &hasher()).input(),
        Input::Word(word::from_int(0).unwrap())
    );
    // 128 needs a second byte for its sign.
    let key = Key::big_int(&[0x80, 0], &hasher());
    assert_eq!(key.input(), Input::Word(word::from_int(128).unwrap()));
}

#[test]
fn an_integer_of_ten_thousand_digits() {
    let mut bytes = vec![0x5A; 4153];
    let key = Key::big_int(&bytes, &hasher());
    assert!(key.same(&Key::from_block(kind::BIGINT, &bytes, &hasher()).unwrap()));
    let mut longer = bytes.clone();
    longer.extend_from_slice(&[0; 9]);
    assert!(key.same(&Key::big_int(&longer, &hasher())));
    let kept = bytes.clone();
    bytes[17] ^= 1;
    assert!(!Key::big_int(&kept, &hasher()).same(&Key::big_int(&bytes, &hasher())));
}

fn pair(first: impl Fn(&mut CanonicalBuilder), second: impl Fn(&mut CanonicalBuilder)) -> TupleKey {
    let mut builder = CanonicalBuilder::new();
    builder.begin_tuple(2);
    first(&mut builder);
    second(&mut builder);
    builder.finish(b"original").unwrap()
}

#[test]
fn tuples_follow_their_items() {
    let left = pair(|b| b.int(1), |b| b.str(b"x"));
    for same in [
        pair(|b| b.bool(true), |b| b.str(b"x")),
        pair(|b| b.float(1.0), |b| b.str(b"x")),
        pair(|b| b.big_int(&[1, 0, 0, 0, 0, 0, 0, 0, 0]), |b| b.str(b"x")),
    ] {
        assert!(Key::from_tuple(&left, &hasher()).same(&Key::from_tuple(&same, &hasher())));
    }
    for other in [
        pair(|b| b.int(1), |b| b.bytes(b"x")),
        pair(|b| b.int(1), CanonicalBuilder::none),
        pair(|b| b.float(1.5), |b| b.str(b"x")),
        pair(|b| b.str(b"x"), |b| b.int(1)),
    ] {
        assert!(!Key::from_tuple(&left, &hasher()).same(&Key::from_tuple(&other, &hasher())));
    }
    let large = pair(|b| b.float(2f64.powi(100)), |b| b.float(-0.0));
    let integer = (1i128 << 100).to_le_bytes();
    let same = pair(|b| b.big_int(&integer), |b| b.int(0));
    assert!(Key::from_tuple(&large, &hasher()).same(&Key::from_tuple(&same, &hasher())));
}

#[test]
fn nesting_matters() {
    let nested = |shape: &[usize]| {
        let mut builder = CanonicalBuilder::new();
        for items in shape {
            builder.begin_tuple(*items);
        }
        builder.finish(b"").unwrap()
    };
    let shapes: [&[usize]; 4] = [&[0], &[1, 0], &[2, 0, 0], &[1, 1, 0]];
    for (position, left) in shapes.iter().enumerate() {
        for (other, right) in shapes.iter().enumerate() {
            let (left, right) = (nested(left), nested(right));
            let same = Key::from_tuple(&left, &hasher()).same(&Key::from_tuple(&right, &hasher()));
            assert_eq!(same, position == other);
        }
    }
}

#[test]
fn a_tuple_with_a_nan_equals_nothing() {
    let tuple = pair(|b| b.float(f64::NAN), CanonicalBuilder::none);
    let key = Key::from_tuple(&tuple, &hasher());
    assert!(!key.equals_itself());
    let Input::Block { kind, bytes, .. } = tuple.input() else {
        panic!()
    };
    assert!(
        !Key::from_block(kind, bytes, &hasher())
            .unwrap()
            .equals_itself()
    );
}

#[test]
fn a_tuple_keeps_its_original() {
    let tuple = pair(CanonicalBuilder::none, |b| b.float(0.5));
    let Input::Block {
        kind: kind::KEY,
        bytes,
        ..
    } = tuple.input()
    else {
        panic!()
    };
    assert_eq!(original_pickle(bytes).unwrap(), b"original");
    let key = Key::from_tuple(&tuple, &hasher());
    assert!(key.same(&Key::from_block(kind::KEY, bytes, &hasher()).unwrap()));
    assert!(original_pickle(&bytes[..3]).is_err());
    assert!(original_pickle(&bytes[..10]).is_err());
}

#[test]
fn incomplete_tuples_are_refused() {
    let mut builder = CanonicalBuilder::new();
    assert!(CanonicalBuilder::new().finish(b"").is_err());
    builder.begin_tuple(2);
    builder.none();
    assert!(builder.finish(b"").is_err());
    let mut builder = CanonicalBuilder::new();
    builder.int(1);
    assert!(builder.finish(b"").is_err());
    let mut builder = CanonicalBuilder::new();
    builder.begin_tuple(0);
    builder.none();
    assert!(builder.finish(b"").is_err());
}

#[test]
fn what_is_no_key() {
    assert!(Key::from_word(word::EMPTY, &hasher()).is_err());
    assert!(Key::from_input(&Input::Edge(0x107), &hasher()).is_err());
    assert!(Key::from_input(&Input::pickle(b"x", &[]), &hasher()).is_err());
    assert!(Key::from_block(kind::FLOAT, b"short", &hasher()).is_err());
    assert!(Key::from_block(kind::STR, b"\xFF", &hasher()).is_err());
}

#[test]
fn the_hash_is_the_same_in_every_process() {
    // Fixed numbers: another result would make segments of other builds unreadable.
    let numbers = [
        Key::str("name", &hasher()).hash(),
        Key::str("a longer name", &hasher()).hash(),
        Key::bytes(b"a longer name", &hasher()).hash(),
        Key::from_word(word::from_int(7).unwrap(), &hasher())
            .unwrap()
            .hash(),
    ];
    assert_eq!(numbers, FIXED);
}

const FIXED: [u64; 4] = [
    17_074_923_123_476_595_513,
    1_554_122_481_953_877_961,
    15_322_676_881_631_770_411,
    399_087_763_425_092_168,
];

#[test]
fn small_integers_spread() {
    let mut seen = std::collections::HashSet::new();
    for value in 0..4096 {
        let key = Key::from_word(word::from_int(value).unwrap(), &hasher()).unwrap();
        seen.insert(key.hash32() & 0xFFFF);
    }
    // 4096 balls in 65536 bins: about 3970 bins are expected.
    assert!(seen.len() > 3850, "{}", seen.len());
}

proptest::proptest! {
    #[test]
    fn from_word_never_panics(word: u64) {
        if let Ok(key) = Key::from_word(word, &hasher()) {
            assert_eq!(key.input(), Input::Word(word));
        }
    }

    #[test]
    fn equal_floats_are_equal_keys(left: f64, right: f64) {
        let same = with_float(left, |left| with_float(right, |right| left.same(&right)));
        assert_eq!(same, number::same(left, right));
        assert_eq!(with_float(left, |key| key.same(&key)), !left.is_nan());
    }

    #[test]
    fn equal_integers_are_equal_keys(left: i64, right: i64) {
        let same = with_int(left.into(), |left| with_int(right.into(), |right| left.same(&right)));
        assert_eq!(same, left == right);
        assert!(with_int(left.into(), |key| {
            let mut scratch = [0; 8];
            Key::int(left, &mut scratch, &hasher()).same(&key)
        }));
    }

    #[test]
    fn a_payload_of_any_bytes_is_split_or_refused(bytes: Vec<u8>) {
        let _ = original_pickle(&bytes);
        let _ = Key::from_block(kind::KEY, &bytes, &hasher()).map(|key| key.same(&key));
    }
}
