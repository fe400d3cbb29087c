//! A bank that lives in this program; others, in Rust and in Python, use it through proxies.
//!
//! The program gets the token of a shared dict on its command line and the key of its manager in
//! the environment. It puts the bank into the dict as "bank", and ends when its input does. In
//! Python:
//!
//! ```python
//! board = manager.dict()
//! # run `bank`, with `board._token.text` as its argument
//! account = board["bank"].open("Ann")
//! account.deposit(7)
//! ```

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::sync::{Mutex, PoisonError};

use coheld::{DictProxy, Manager, Proxy, Token, Value};

/// Accounts by their owners.
#[derive(Default)]
struct Bank {
    accounts: Mutex<BTreeMap<String, AccountProxy>>,
}

#[coheld::expose]
impl Bank {
    /// The account of this owner, who may be new.
    pub fn open(&self, owner: &str) -> coheld::Result<AccountProxy> {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(owner) {
            return Ok(account.clone());
        }
        let account = coheld::share(Account::default())?;
        accounts.insert(owner.to_owned(), account.clone());
        Ok(account)
    }

    /// Moves some money.
    pub fn transfer(
        &self,
        from: &AccountProxy,
        to: &AccountProxy,
        amount: i64,
    ) -> coheld::Result<()> {
        from.withdraw(amount)?;
        to.deposit(amount)?;
        Ok(())
    }

    /// All accounts.
    pub fn accounts(&self) -> BTreeMap<String, AccountProxy> {
        let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        accounts.clone()
    }

    /// All that was put into an account and taken out, of this bank or any other.
    pub fn statement(&self, account: &AccountProxy) -> coheld::Result<Vec<i64>> {
        account.history()?.collect()
    }

    /// What an auditor, which is an object of the caller, says to each balance.
    pub fn audit(&self, auditor: &Proxy, strict: Option<bool>) -> coheld::Result<Vec<String>> {
        let mut remarks = Vec::new();
        for (owner, account) in self.accounts() {
            let balance = account.balance()?;
            let strict = strict.unwrap_or(false);
            remarks.push(auditor.call("remark", (owner, balance, strict))?);
        }
        Ok(remarks)
    }
}

/// Some money.
#[derive(Default)]
struct Account {
    balance: i64,
    history: Vec<i64>,
}

/// There is not enough of it.
#[derive(Debug)]
struct Overdrawn {
    missing: i64,
}

impl fmt::Display for Overdrawn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} more would be needed", self.missing)
    }
}

#[coheld::expose]
impl Account {
    /// What is in it.
    pub fn balance(&self) -> i64 {
        self.balance
    }

    /// Puts something in; how much there is then.
    pub fn deposit(&mut self, amount: i64) -> i64 {
        self.balance = self
            .balance
            .checked_add(amount)
            .expect("no bank has as much");
        self.history.push(amount);
        self.balance
    }

    /// Takes something out; how much there is then.
    pub fn withdraw(&mut self, amount: i64) -> Result<i64, Overdrawn> {
        if amount > self.balance {
            let missing = amount - self.balance;
            return Err(Overdrawn { missing });
        }
        Ok(self.deposit(-amount))
    }

    /// All that was put in and taken out.
    pub fn history(&self) -> Box<dyn Iterator<Item = i64> + Send> {
        Box::new(self.history.clone().into_iter())
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let token = std::env::args()
        .nth(1)
        .ok_or("the token of a dict, please")?;
    let token: Token = token.parse()?;
    let authkey = coheld::authkey_from_environment()?;
    let board = DictProxy::<String, Value>::from_token(&token, &authkey)?;
    let manager = Manager::connect(&token.address, &authkey)?;
    let bank = manager.share(Bank::default())?;
    board.insert("bank", &Value::from(&bank))?;
    io::copy(&mut io::stdin(), &mut io::sink())?;
    Ok(())
}
