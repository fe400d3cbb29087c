//! Types of parameters and results: what travels for them.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    AngleBracketedGenericArguments, Error, GenericArgument, Ident, PathArguments, PathSegment,
    Type, TypeParamBound, TypeReference, parse_quote,
};

/// How an argument is made of what a caller has sent.
pub(crate) struct Passed {
    /// What is read.
    pub(crate) owned: Type,
    /// Whether the method gets a reference to it.
    pub(crate) by_reference: bool,
    /// Whether a caller may leave it out.
    pub(crate) is_optional: bool,
}

/// What a method returns.
pub(crate) struct Returned {
    /// Whether it is a `Result` with this in it.
    pub(crate) is_result: bool,
    /// What the caller gets.
    pub(crate) content: Content,
}

/// What a caller gets.
pub(crate) enum Content {
    /// A value of this type.
    Value(Type),
    /// Items of this type, one after another.
    Items(Type),
}

impl Returned {
    /// A value of this type.
    pub(crate) fn value(of: Type) -> Self {
        Self {
            is_result: false,
            content: Content::Value(of),
        }
    }
}

/// How a parameter of this type gets its argument.
pub(crate) fn passed(written: &Type, name: &Ident, method: &Ident) -> Result<Passed, Error> {
    let (owned, by_reference) = match written {
        Type::Reference(reference) => (owned(reference, name, method)?, true),
        other => (other.clone(), false),
    };
    if let Type::ImplTrait(written) = &owned {
        return Err(Error::new_spanned(
            written,
            format!("the type of `{name}` of `{method}` is open; name the type"),
        ));
    }
    if borrows(owned.to_token_stream()) {
        return Err(Error::new_spanned(
            written,
            format!(
                "`{name}` of `{method}` holds a reference inside, and what another process sends \
                 is a copy; take an owned type, or a reference to one"
            ),
        ));
    }
    refuse_self(&owned, method)?;
    let is_optional = !by_reference && last_segment(&owned).is_some_and(|it| it.ident == "Option");
    Ok(Passed {
        owned,
        by_reference,
        is_optional,
    })
}

/// The type of what a reference is taken to.
fn owned(reference: &TypeReference, name: &Ident, method: &Ident) -> Result<Type, Error> {
    if reference.mutability.is_some() {
        return Err(Error::new_spanned(
            reference,
            format!(
                "`{method}` would change `{name}`, which is a copy of what its caller has; return \
                 the change, or take a proxy"
            ),
        ));
    }
    Ok(match &*reference.elem {
        Type::Slice(slice) => {
            let item = &slice.elem;
            parse_quote!(::std::vec::Vec<#item>)
        }
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        Type::TraitObject(open) => {
            return Err(Error::new_spanned(
                open,
                format!("the type of `{name}` of `{method}` is open; name the type"),
            ));
        }
        other => other.clone(),
    })
}

/// What a method with this result gives its callers.
pub(crate) fn returned(written: &Type, method: &Ident) -> Result<Returned, Error> {
    let within = match last_segment(written) {
        Some(last) if last.ident == "Result" => {
            let first = arguments(last).and_then(|arguments| arguments.args.first());
            let Some(GenericArgument::Type(within)) = first else {
                return Err(Error::new_spanned(
                    written,
                    format!("say what `{method}` returns if it succeeds: `Result<Type, ...>`"),
                ));
            };
            Some(within)
        }
        _ => None,
    };
    let is_result = within.is_some();
    let within = within.unwrap_or(written);
    let content = match items(within, method)? {
        Some(item) => Content::Items(item),
        None => Content::Value(within.clone()),
    };
    let (Content::Value(sent) | Content::Items(sent)) = &content;
    if let Type::ImplTrait(open) = sent {
        return Err(Error::new_spanned(
            open,
            format!(
                "the type that `{method}` returns is open; name the type (of open types only \
                 iterators can be sent)"
            ),
        ));
    }
    if borrows(sent.to_token_stream()) {
        return Err(Error::new_spanned(
            sent,
            format!(
                "`{method}` returns a reference, and its caller is in another process; return an \
                 owned copy (`String` for `&str`, `Vec<T>` for `&[T]`), or a proxy"
            ),
        ));
    }
    refuse_self(sent, method)?;
    Ok(Returned { is_result, content })
}

/// The type of the items, if this one is an iterator that can be sent.
fn items(written: &Type, method: &Ident) -> Result<Option<Type>, Error> {
    let (bounds, is_boxed) = match written {
        Type::ImplTrait(open) => (&open.bounds, false),
        other => {
            let boxed = last_segment(other).filter(|last| last.ident == "Box");
            let first = boxed.and_then(arguments).and_then(|it| it.args.first());
            match first {
                Some(GenericArgument::Type(Type::TraitObject(object))) => (&object.bounds, true),
                _ => return Ok(None),
            }
        }
    };
    let Some(item) = bounds.iter().find_map(item_of) else {
        return Ok(None);
    };
    let captures_nothing = bounds.iter().any(|bound| {
        matches!(bound, TypeParamBound::PreciseCapture(capture) if capture.params.is_empty())
    });
    if !is_boxed && !captures_nothing {
        return Err(Error::new_spanned(
            written,
            format!(
                "the iterator of `{method}` is used after the call, so it must not borrow from the \
                 object: write `impl Iterator<Item = T> + Send + use<>`, or \
                 `Box<dyn Iterator<Item = T> + Send>`"
            ),
        ));
    }
    let is_sent = bounds.iter().any(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.is_ident("Send"),
        _ => false,
    });
    if !is_sent {
        return Err(Error::new_spanned(
            written,
            format!(
                "the iterator of `{method}` may be used by another thread than the one that made \
                 it: add `+ Send`"
            ),
        ));
    }
    Ok(Some(item))
}

/// `T` of `Iterator<Item = T>`.
fn item_of(bound: &TypeParamBound) -> Option<Type> {
    let TypeParamBound::Trait(bound) = bound else {
        return None;
    };
    let last = bound
        .path
        .segments
        .last()
        .filter(|last| last.ident == "Iterator")?;
    arguments(last)?
        .args
        .iter()
        .find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
            _ => None,
        })
}

fn last_segment(written: &Type) -> Option<&PathSegment> {
    match written {
        Type::Path(path) => path.path.segments.last(),
        _ => None,
    }
}

fn arguments(segment: &PathSegment) -> Option<&AngleBracketedGenericArguments> {
    match &segment.arguments {
        PathArguments::AngleBracketed(arguments) => Some(arguments),
        _ => None,
    }
}

/// Whether there is a reference or a lifetime in a type.
fn borrows(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Punct(punctuation) => matches!(punctuation.as_char(), '&' | '\''),
        TokenTree::Group(group) => borrows(group.stream()),
        _ => false,
    })
}

/// `Self` is another type in the proxy.
fn refuse_self(written: &Type, method: &Ident) -> Result<(), Error> {
    fn is_in(tokens: TokenStream) -> bool {
        tokens.into_iter().any(|token| match token {
            TokenTree::Ident(word) => word == "Self",
            TokenTree::Group(group) => is_in(group.stream()),
            _ => false,
        })
    }
    if !is_in(written.to_token_stream()) {
        return Ok(());
    }
    Err(Error::new_spanned(
        written,
        format!(
            "`{method}` would send the object itself; share a new one with `coheld::share` and \
             return its proxy, or name the type if it is to be copied"
        ),
    ))
}
