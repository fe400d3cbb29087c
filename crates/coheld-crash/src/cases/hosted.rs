//! Channels, and dicts that move to a host. Both sides of a channel are held by whoever explores.

use coheld_shm::{HostPlace, Referent, Segment};
use coheld_store::{Channel, Dict, Input, Key, KeyHasher, Result, kinds::referent, move_to_host};

use super::{Case, Place, Row, at, cases_of, create};

/// A little more than fits into a channel: each byte of a copy is an image of its own.
const LARGE: [u8; 1900] = [7; 1900];
const SMALL: &[u8] = b"a message";

/// Some host; nothing asks it.
const HOST: HostPlace = HostPlace {
    inbox: 0x4_0000,
    generation: 1,
    tag: 1 << 10,
};

fn bare(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create(segment, referent::CHANNEL)?])
}

fn prepare(segment: &Segment, places: &[Place]) -> Result<()> {
    Channel::prepare(&at(segment, &places[0])?, segment.own_tag()?)
}

fn create_and_prepare(segment: &Segment, _places: &[Place]) -> Result<()> {
    prepare(segment, &bare(segment)?)
}

fn idle(segment: &Segment) -> Result<Vec<Place>> {
    let places = bare(segment)?;
    prepare(segment, &places)?;
    Ok(places)
}

/// A channel on which `act` was done.
fn after(segment: &Segment, act: impl FnOnce(Channel<'_>) -> Result<()>) -> Result<Vec<Place>> {
    let places = idle(segment)?;
    act(Channel::open(&at(segment, &places[0])?)?)?;
    Ok(places)
}

fn posted(segment: &Segment) -> Result<Vec<Place>> {
    after(segment, |channel| channel.post(SMALL))
}

fn posted_large(segment: &Segment) -> Result<Vec<Place>> {
    after(segment, |channel| channel.post(&LARGE))
}

fn taken(segment: &Segment) -> Result<Vec<Place>> {
    after(segment, |channel| {
        channel.post(SMALL)?;
        channel.take_request().map(drop)
    })
}

fn answered_large(segment: &Segment) -> Result<Vec<Place>> {
    after(segment, |channel| {
        channel.post(&LARGE)?;
        channel.take_request()?;
        channel.answer(&LARGE)
    })
}

fn open<'a>(referent: &'a Referent<'a>) -> Result<Channel<'a>> {
    Channel::open(referent)
}

fn post(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.post(SMALL)
}

fn post_large(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.post(&LARGE)
}

fn take_request(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.take_request().map(drop)
}

fn answer(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.answer(SMALL)
}

fn answer_large(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.answer(&LARGE)
}

fn take_reply(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.take_reply().map(drop)
}

fn close(segment: &Segment, places: &[Place]) -> Result<()> {
    open(&at(segment, &places[0])?)?.close()
}

/// A dict with words and blocks in it, and a list that it refers to.
fn dict(segment: &Segment) -> Result<Vec<Place>> {
    let place = create(segment, referent::DICT)?;
    let list = create(segment, referent::LIST)?;
    let hasher = KeyHasher::new(segment.secret());
    let referent = at(segment, &place)?;
    let dict = Dict::new(&referent);
    dict.insert(&Key::str("n", &hasher), &Input::NONE)?;
    let key = Key::str("a key that needs a block", &hasher);
    dict.insert(&key, &Input::str("a value that needs a block"))?;
    let edge = coheld_shm::word::of_edge(list.offset, list.generation);
    dict.insert(&Key::str("list", &hasher), &Input::Edge(edge))?;
    Ok(vec![place, list])
}

fn empty_dict(segment: &Segment) -> Result<Vec<Place>> {
    Ok(vec![create(segment, referent::DICT)?])
}

fn move_dict(segment: &Segment, places: &[Place]) -> Result<()> {
    let referent = at(segment, &places[0])?;
    let version = Dict::new(&referent).version()?;
    move_to_host(&referent, HOST, 3, version)
}

const ROWS: &[Row] = &[
    (
        "channel: create and prepare",
        bare,
        create_and_prepare,
        false,
        false,
    ),
    ("channel: prepare", bare, prepare, true, false),
    ("channel: post", idle, post, true, false),
    (
        "channel: post a large request",
        idle,
        post_large,
        false,
        false,
    ),
    (
        "channel: take a request",
        posted,
        take_request,
        false,
        false,
    ),
    (
        "channel: take a large request",
        posted_large,
        take_request,
        false,
        false,
    ),
    ("channel: answer", taken, answer, false, false),
    (
        "channel: answer with a large reply",
        taken,
        answer_large,
        false,
        false,
    ),
    (
        "channel: take a large reply",
        answered_large,
        take_reply,
        true,
        false,
    ),
    ("channel: close", posted_large, close, true, false),
    ("dict: move to a host", dict, move_dict, true, false),
    (
        "dict: move to a host while empty",
        empty_dict,
        move_dict,
        false,
        false,
    ),
];

pub(super) fn cases() -> Vec<Case> {
    cases_of(ROWS)
}
