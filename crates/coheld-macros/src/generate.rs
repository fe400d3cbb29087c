//! The code beside the block: how calls get to its methods, and the proxy with the same ones.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::Path;
use syn::ext::IdentExt as _;

use crate::block::Block;
use crate::method::{Method, Parameter};
use crate::types::Content;

/// The block and all that goes with it.
pub(crate) fn all(block: &Block) -> TokenStream {
    let written = &block.written;
    let answering = answering(block);
    let proxy = proxy(block);
    quote! {
        #written
        #answering
        #proxy
    }
}

/// `impl Expose`: calls by name.
fn answering(block: &Block) -> TokenStream {
    let Block { name, options, .. } = block;
    let (proxy, written) = (&options.proxy, &block.written.self_ty);
    let typeid = name.unraw().to_string();
    let changes = block.methods.iter().any(|method| method.changes);
    let cell = if changes {
        quote!(::coheld::exposed::Locked<#written>)
    } else {
        quote!(::coheld::exposed::Unlocked<#written>)
    };
    let names = block.methods.iter().map(|method| {
        let (conditions, name) = (&method.conditions, method.name());
        quote!(#(#conditions)* #name)
    });
    let arms = block.methods.iter();
    let arms = arms.map(|method| answering_one(method, options.executor.as_ref()));
    quote! {
        #[automatically_derived]
        impl ::coheld::exposed::Expose for #written {
            type Proxy = #proxy;
            type Cell = #cell;
            const NAME: &'static ::core::primitive::str = #typeid;
            const METHODS: &'static [&'static ::core::primitive::str] = &[#(#names),*];

            fn answer(
                __object: &Self::Cell,
                __call: ::coheld::exposed::Call<'_>,
            ) -> ::coheld::Result<::coheld::exposed::Answer> {
                match __call.method() {
                    #(#arms)*
                    _ => ::core::result::Result::Err(
                        __call.unknown(<Self as ::coheld::exposed::Expose>::METHODS),
                    ),
                }
            }
        }
    }
}

fn answering_one(method: &Method, executor: Option<&Path>) -> TokenStream {
    let (name, text, conditions) = (&method.name, method.name(), &method.conditions);
    let parameters = method.parameters.iter().map(Parameter::described);
    let mut reads = Vec::new();
    let mut passed = Vec::new();
    for (place, parameter) in method.parameters.iter().enumerate() {
        let variable = quote::format_ident!("__argument_{place}");
        let owned = &parameter.passed.owned;
        reads.push(quote!(let #variable = __arguments.take::<#owned>()?;));
        passed.push(if parameter.passed.by_reference {
            quote!(&#variable)
        } else {
            quote!(#variable)
        });
    }
    let (binding, enter) = if method.changes {
        (quote!(mut __this), quote!(write))
    } else {
        (quote!(__this), quote!(read))
    };
    let mut result = quote!(__this.#name(#(#passed),*));
    if let (true, Some(executor)) = (method.is_async, executor) {
        result = quote!(#executor(#result));
    }
    if method.returned.is_result {
        result = quote!(::coheld::exposed::fallible(#result)?);
    }
    let answer = match method.returned.content {
        Content::Value(_) => quote!(::coheld::exposed::returned(&__result)),
        Content::Items(_) => {
            quote!(::core::result::Result::Ok(::coheld::exposed::streamed(
                __result
            )))
        }
    };
    quote! {
        #(#conditions)*
        #text => {
            let __called = __call.called();
            #[allow(unused_mut)]
            let mut __arguments = __call.arguments(&[#(#parameters),*])?;
            #(#reads)*
            #[allow(deprecated, clippy::let_unit_value)]
            let __result = {
                let #binding = __object.#enter(&__called)?;
                #result
            };
            #answer
        }
    }
}

/// The type of the proxies.
fn proxy(block: &Block) -> TokenStream {
    let Block { name, options, .. } = block;
    let (proxy, written) = (&options.proxy, &block.written.self_ty);
    let documentation = format!(" A proxy of a `{name}`, which may be in another process.");
    let debug = format!("<{} of a `{name}`: {{:?}}>", proxy.unraw());
    let methods = block.methods.iter().map(asking);
    let expected = quote!(<#written as ::coheld::exposed::Expose>);
    quote! {
        #[doc = #documentation]
        #[derive(Clone, PartialEq, Eq)]
        #[allow(unreachable_pub)]
        pub struct #proxy {
            proxy: ::coheld::Proxy,
        }

        #[allow(
            unreachable_pub,
            dead_code,
            missing_docs,
            private_interfaces,
            deprecated,
            clippy::all,
            clippy::pedantic
        )]
        impl #proxy {
            #(#methods)*
        }

        #[automatically_derived]
        impl ::coheld::exposed::ExposedProxy for #proxy {
            fn as_proxy(&self) -> &::coheld::Proxy {
                &self.proxy
            }
        }

        #[automatically_derived]
        impl ::core::convert::TryFrom<::coheld::Proxy> for #proxy {
            type Error = ::coheld::Error;

            fn try_from(proxy: ::coheld::Proxy) -> ::coheld::Result<Self> {
                let (name, methods) = (#expected::NAME, #expected::METHODS);
                let proxy = ::coheld::exposed::expect(proxy, name, methods)?;
                ::core::result::Result::Ok(Self { proxy })
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<#proxy> for ::coheld::Proxy {
            fn from(typed: #proxy) -> Self {
                typed.proxy
            }
        }

        #[automatically_derived]
        impl ::core::convert::From<&#proxy> for ::coheld::Value {
            fn from(typed: &#proxy) -> Self {
                ::coheld::Value::from(&typed.proxy)
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #proxy {
            fn fmt(&self, formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::write!(formatter, #debug, self.proxy)
            }
        }

        #[automatically_derived]
        impl ::coheld::__private::serde::Serialize for #proxy {
            fn serialize<S: ::coheld::__private::serde::Serializer>(
                &self,
                serializer: S,
            ) -> ::core::result::Result<S::Ok, S::Error> {
                ::coheld::exposed::serialize(&self.proxy, serializer)
            }
        }

        #[automatically_derived]
        impl<'de> ::coheld::__private::serde::Deserialize<'de> for #proxy {
            fn deserialize<D: ::coheld::__private::serde::Deserializer<'de>>(
                deserializer: D,
            ) -> ::core::result::Result<Self, D::Error> {
                ::coheld::exposed::deserialize(deserializer)
            }
        }
    }
}

/// A method of the proxy.
fn asking(method: &Method) -> TokenStream {
    let Method {
        name,
        documentation,
        conditions,
        ..
    } = method;
    let text = method.name();
    let parameters = method.parameters.iter().map(|parameter| {
        let (name, written) = (&parameter.name, &parameter.written);
        quote!(#name: #written)
    });
    let arguments = method.parameters.iter().map(|parameter| {
        let name = &parameter.name;
        if parameter.passed.by_reference {
            quote!(::coheld::exposed::argument(#name)?)
        } else {
            quote!(::coheld::exposed::argument(&#name)?)
        }
    });
    let (result, ask) = match &method.returned.content {
        Content::Value(value) => (quote!(#value), quote!(ask)),
        Content::Items(item) => (quote!(::coheld::Streamed<#item>), quote!(stream)),
    };
    quote! {
        #(#documentation)*
        #(#conditions)*
        pub fn #name(&self, #(#parameters),*) -> ::coheld::Result<#result> {
            ::coheld::exposed::#ask(&self.proxy, #text, &[#(#arguments),*])
        }
    }
}

impl Method {
    /// The name by which it is called.
    fn name(&self) -> String {
        self.name.unraw().to_string()
    }
}

impl Parameter {
    /// What the host tells callers of it.
    fn described(&self) -> TokenStream {
        let name = self.name.unraw().to_string();
        let type_name = plain(&self.written.to_token_stream().to_string());
        let is_optional = self.passed.is_optional;
        quote! {
            ::coheld::exposed::Parameter {
                name: #name,
                type_name: #type_name,
                is_optional: #is_optional,
            }
        }
    }
}

/// The text of a type, spaced as programs write it.
fn plain(tokens: &str) -> String {
    [
        (" < ", "<"),
        (" <", "<"),
        ("< ", "<"),
        (" >", ">"),
        (" :: ", "::"),
        (":: ", "::"),
    ]
    .into_iter()
    .chain([
        (" ,", ","),
        ("& ", "&"),
        ("[ ", "["),
        (" ]", "]"),
        ("( ", "("),
        (" )", ")"),
    ])
    .fold(tokens.to_owned(), |text, (from, to)| text.replace(from, to))
}
