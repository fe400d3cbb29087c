//! Python objects into values of the segment and back.

mod context;
mod decode;
mod encode;
pub(crate) mod make;
mod message;
mod pickle;
mod plain;

pub(crate) use self::{
    context::{Encoding, take_edge},
    decode::{dict, list, output, values, view, viewed},
    encode::{
        Encoded, encode, encode_simple, encode_text, inline, inputs, int_bytes, small_int,
        surrogate_bytes,
    },
    message::{Message, Serializer, decode_xml, encode_xml},
    pickle::dumps,
    plain::{read as read_plain, request as plain_request, value as plain_value},
};
