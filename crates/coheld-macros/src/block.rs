//! An `impl` block with the attribute: what is exposed of it, and what cannot be.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, format_ident};
use syn::parse::Parser as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Error, Ident, ImplItem, ImplItemFn, ItemImpl, Path, Type, Visibility};

use crate::method::Method;

/// A block that can be exposed.
pub(crate) struct Block {
    /// As it was written, without the marks of this attribute.
    pub(crate) written: ItemImpl,
    /// The name of the type.
    pub(crate) name: Ident,
    /// What was chosen.
    pub(crate) options: Options,
    /// What is exposed.
    pub(crate) methods: Vec<Method>,
}

/// The options of a block.
pub(crate) struct Options {
    /// The name of the type of the proxies.
    pub(crate) proxy: Ident,
    /// The function that runs the futures of async methods.
    pub(crate) executor: Option<Path>,
}

/// Why a block cannot be exposed, and the block, so that the compiler says nothing else about it.
pub(crate) struct Refusal {
    written: TokenStream,
    error: Error,
}

impl Refusal {
    /// What stands in the place of the block.
    pub(crate) fn into_tokens(self) -> TokenStream {
        let Self { written, error } = self;
        let mut tokens = error.into_compile_error();
        tokens.extend(written);
        tokens
    }
}

impl Block {
    /// Reads a block.
    pub(crate) fn read(options: TokenStream, item: TokenStream) -> Result<Self, Refusal> {
        let refuse = |written, error| Refusal { written, error };
        let Ok(mut written) = syn::parse2::<ItemImpl>(item.clone()) else {
            let error = Error::new(
                Span::call_site(),
                "`#[expose]` goes on an `impl` block: `#[coheld::expose] impl Maths { ... }`",
            );
            return Err(refuse(item, error));
        };
        let marks = take_marks(&mut written);
        let read = marks.and_then(|skipped| Self::of(options, &written, &skipped));
        match read {
            Ok((name, options, methods)) => Ok(Self {
                written,
                name,
                options,
                methods,
            }),
            Err(error) => Err(refuse(written.into_token_stream(), error)),
        }
    }

    fn of(
        options: TokenStream,
        written: &ItemImpl,
        skipped: &[bool],
    ) -> Result<(Ident, Options, Vec<Method>), Error> {
        let name = name(written)?;
        let options = Options::read(options, &name)?;
        let functions = written.items.iter().filter_map(|item| match item {
            ImplItem::Fn(function) => Some(function),
            _ => None,
        });
        let wanted = functions
            .zip(skipped)
            .filter(|(_, is_skipped)| !**is_skipped);
        let wanted: Vec<&ImplItemFn> = wanted.map(|(function, _)| function).collect();
        let is_public = |function: &&ImplItemFn| matches!(function.vis, Visibility::Public(_));
        let has_public = wanted.iter().any(is_public);
        let exposed = wanted
            .into_iter()
            .filter(|function| !has_public || is_public(function));
        let mut methods = Vec::new();
        let mut errors: Option<Error> = None;
        for function in exposed {
            match Method::read(function, options.executor.is_some()) {
                Ok(method) => methods.push(method),
                Err(error) => match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                },
            }
        }
        if let Some(errors) = errors {
            return Err(errors);
        }
        if methods.is_empty() {
            return Err(Error::new(
                written.self_ty.span(),
                "no method of this block is exposed; write one with `&self` that is not marked \
                 `#[expose(skip)]`, or leave the attribute out",
            ));
        }
        Ok((name, options, methods))
    }
}

/// The name of the type of a block.
fn name(written: &ItemImpl) -> Result<Ident, Error> {
    if let Some((_, path, _)) = &written.trait_ {
        return Err(Error::new_spanned(
            path,
            "the methods of a trait cannot be exposed; write methods of the type itself that call \
             them",
        ));
    }
    if let Some(parameter) = written.generics.params.first() {
        return Err(Error::new_spanned(
            parameter,
            "a type with parameters cannot be exposed: other processes have to know what it is; \
             write a type without any around it",
        ));
    }
    let Type::Path(path) = &*written.self_ty else {
        return Err(Error::new_spanned(
            &written.self_ty,
            "only a type of this program with a name of its own can be exposed",
        ));
    };
    match path.path.segments.last() {
        Some(last) if last.arguments.is_none() && path.qself.is_none() => Ok(last.ident.clone()),
        _ => Err(Error::new_spanned(
            &written.self_ty,
            "a type with parameters cannot be exposed; write a type without any around it",
        )),
    }
}

impl Options {
    /// Reads the options of the block of a type of this name.
    fn read(options: TokenStream, name: &Ident) -> Result<Self, Error> {
        let mut read = Self {
            proxy: format_ident!("{name}Proxy"),
            executor: None,
        };
        let parser = syn::meta::parser(|option| {
            if option.path.is_ident("proxy") {
                read.proxy = option.value()?.parse()?;
            } else if option.path.is_ident("executor") {
                read.executor = Some(option.value()?.parse()?);
            } else {
                return Err(option.error(
                    "`#[expose]` has two options on a block: `proxy = NameOfTheProxies`, and \
                     `executor = path::to::block_on` for async methods",
                ));
            }
            Ok(())
        });
        parser.parse2(options)?;
        Ok(read)
    }
}

/// Removes the marks of this attribute; for each function, whether it is not to be exposed.
fn take_marks(written: &mut ItemImpl) -> Result<Vec<bool>, Error> {
    let mut skipped = Vec::new();
    let mut errors: Option<Error> = None;
    for item in &mut written.items {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        let mut is_skipped = false;
        for mark in function
            .attrs
            .extract_if(.., |attribute| is_mark(attribute))
        {
            let read = mark.parse_nested_meta(|option| {
                if option.path.is_ident("skip") {
                    is_skipped = true;
                    return Ok(());
                }
                Err(option.error("`#[expose]` has one option on a method: `#[expose(skip)]`"))
            });
            if let Err(error) = read {
                match &mut errors {
                    Some(errors) => errors.combine(error),
                    None => errors = Some(error),
                }
            }
        }
        skipped.push(is_skipped);
    }
    errors.map_or(Ok(skipped), Err)
}

fn is_mark(attribute: &Attribute) -> bool {
    let last = attribute.path().segments.last();
    last.is_some_and(|last| last.ident == "expose")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about a block, line by line; nothing if it can be exposed.
    fn refusal(options: &str, block: &str) -> Vec<String> {
        match Block::read(options.parse().unwrap(), block.parse().unwrap()) {
            Ok(_) => Vec::new(),
            Err(refusal) => {
                let errors = refusal.error.into_iter();
                errors.map(|error| error.to_string()).collect()
            }
        }
    }

    /// The names of the methods that are exposed.
    fn exposed(block: &str) -> Vec<String> {
        let Ok(block) = Block::read(TokenStream::new(), block.parse().unwrap()) else {
            panic!("it is refused: {block}");
        };
        let methods = block.methods.iter();
        methods.map(|method| method.name.to_string()).collect()
    }

    #[test]
    fn public_methods_are_exposed_and_all_of_a_private_block() {
        let private = "impl M { fn a(&self) {} fn b(&mut self) {} }";
        assert_eq!(exposed(private), ["a", "b"]);
        let mixed = "impl M { fn a(&self) {} pub fn b(&self) {} pub(crate) fn c(&self) {} }";
        assert_eq!(exposed(mixed), ["b"]);
        let marked = "impl M { #[expose(skip)] pub fn new() -> Self { M } fn a(&self) {} }";
        assert_eq!(exposed(marked), ["a"]);
        let marked = "impl M { #[coheld::expose(skip)] fn helper(&self) {} fn a(&self) {} }";
        assert_eq!(exposed(marked), ["a"]);
    }

    #[test]
    fn what_nobody_can_promise_is_refused() {
        let said = refusal("", "impl M { pub unsafe fn a(&self) {} }");
        assert_eq!(
            said,
            [
                "`a` is unsafe, and nobody keeps its promises in another process; mark it with \
              `#[expose(skip)]`"
            ]
        );
    }

    #[test]
    fn async_methods_take_an_executor() {
        let block = "impl M { async fn a(&self) {} }";
        assert_eq!(refusal("", block).len(), 1);
        assert_eq!(refusal("executor = block_on", block), [""; 0]);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let block = "impl M { pub fn a() {} pub fn b(&self) -> &str { \"\" } pub fn c(&self) {} }";
        assert_eq!(refusal("", block).len(), 2);
    }
}
