//! One exposed method.

use syn::{Attribute, Error, FnArg, Ident, ImplItemFn, Pat, PatType, Receiver, ReturnType, Type};

use crate::types::{self, Passed, Returned};

/// A method that can be called by other processes.
pub(crate) struct Method {
    /// Its name.
    pub(crate) name: Ident,
    /// What is said of it, for the proxy.
    pub(crate) documentation: Vec<Attribute>,
    /// Under which conditions it is there.
    pub(crate) conditions: Vec<Attribute>,
    /// Whether it is async.
    pub(crate) is_async: bool,
    /// Whether it takes `&mut self`.
    pub(crate) changes: bool,
    /// What it takes besides.
    pub(crate) parameters: Vec<Parameter>,
    /// What it returns.
    pub(crate) returned: Returned,
}

/// A parameter.
pub(crate) struct Parameter {
    /// Its name.
    pub(crate) name: Ident,
    /// Its type as it was written.
    pub(crate) written: Type,
    /// How the argument is made.
    pub(crate) passed: Passed,
}

impl Method {
    /// Reads a method, or says why it cannot be exposed.
    pub(crate) fn read(function: &ImplItemFn, has_executor: bool) -> Result<Self, Error> {
        let signature = &function.sig;
        let name = signature.ident.clone();
        if let Some(keyword) = signature.asyncness.filter(|_| !has_executor) {
            return Err(Error::new_spanned(
                keyword,
                format!(
                    "`{name}` is async: say what runs it to its end for the thread of its caller, \
                     as `#[coheld::expose(executor = path::to::block_on)]`, or mark it with \
                     `#[expose(skip)]`"
                ),
            ));
        }
        if let Some(keyword) = &signature.unsafety {
            return Err(Error::new_spanned(
                keyword,
                format!(
                    "`{name}` is unsafe, and nobody keeps its promises in another process; mark it \
                     with `#[expose(skip)]`"
                ),
            ));
        }
        if let Some(abi) = &signature.abi {
            return Err(Error::new_spanned(
                abi,
                format!("`{name}` is of another language; mark it with `#[expose(skip)]`"),
            ));
        }
        if let Some(parameter) = signature.generics.params.first() {
            return Err(Error::new_spanned(
                parameter,
                format!(
                    "`{name}` has parameters of its own for types or lifetimes, which callers in \
                     other processes cannot choose; name the types, or mark it with \
                     `#[expose(skip)]`"
                ),
            ));
        }
        let mut inputs = signature.inputs.iter();
        let changes = match inputs.next() {
            Some(FnArg::Receiver(receiver)) => changes(receiver, &name)?,
            _ => {
                return Err(Error::new_spanned(
                    &signature.ident,
                    format!(
                        "`{name}` has no `self`, so there is no object to call it of; move it to \
                         another `impl` block, or mark it with `#[expose(skip)]`"
                    ),
                ));
            }
        };
        let mut parameters = Vec::new();
        for input in inputs {
            if let FnArg::Typed(typed) = input {
                parameters.push(Parameter::read(typed, &name)?);
            }
        }
        let returned = match &signature.output {
            ReturnType::Default => Returned::value(syn::parse_quote!(())),
            ReturnType::Type(_, written) => types::returned(written, &name)?,
        };
        let kept = |wanted: &'static [&'static str]| {
            let attributes = function.attrs.iter();
            let is_wanted = |attribute: &&Attribute| {
                let path = attribute.path();
                wanted.iter().any(|name| path.is_ident(name))
            };
            attributes.filter(is_wanted).cloned().collect()
        };
        Ok(Self {
            name,
            documentation: kept(&["doc", "deprecated"]),
            conditions: kept(&["cfg"]),
            is_async: signature.asyncness.is_some(),
            changes,
            parameters,
            returned,
        })
    }
}

/// Whether a method with this `self` changes the object.
fn changes(receiver: &Receiver, name: &Ident) -> Result<bool, Error> {
    if receiver.reference.is_none() || receiver.colon_token.is_some() {
        return Err(Error::new_spanned(
            receiver,
            format!(
                "`{name}` takes the object itself, which others use as well; take `&self` or \
                 `&mut self`, or mark it with `#[expose(skip)]`"
            ),
        ));
    }
    Ok(receiver.mutability.is_some())
}

impl Parameter {
    fn read(typed: &PatType, method: &Ident) -> Result<Self, Error> {
        let name = match &*typed.pat {
            Pat::Ident(pattern) if pattern.by_ref.is_none() && pattern.subpat.is_none() => {
                pattern.ident.clone()
            }
            other => {
                return Err(Error::new_spanned(
                    other,
                    format!(
                        "a parameter of `{method}` has no name, by which callers could give it; \
                         write `name: Type` and take it apart in the method"
                    ),
                ));
            }
        };
        let passed = types::passed(&typed.ty, &name, method)?;
        Ok(Self {
            name,
            written: (*typed.ty).clone(),
            passed,
        })
    }
}
