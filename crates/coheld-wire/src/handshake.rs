//! Mutual authentication: who speaks when.
//!
//! The server challenges first, then the client. Feed each message of the other end to
//! [`Handshake::receive`] and send what it returns.

use crate::auth::{self, AuthenticationError, Challenger, Generation, Md5, NONCE_LENGTH};

/// One end of a handshake that is going on.
pub struct Handshake {
    key: Vec<u8>,
    challenger: Option<Challenger>,
    stage: Stage,
    md5: Md5,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Our challenge is on its way.
    AwaitResponse(Role),
    /// The other end is to challenge us.
    AwaitChallenge(Role),
    /// Our response is on its way.
    AwaitVerdict(Role),
    /// Over, one way or the other.
    Over,
}

/// What to do after a message.
#[derive(Debug, PartialEq, Eq)]
pub struct Step {
    /// A message to send first.
    pub send: Option<Vec<u8>>,
    /// Whether both ends have proved themselves.
    pub done: bool,
}

/// The handshake failed.
#[derive(Debug, PartialEq, Eq)]
pub struct Failed {
    /// A message to send before closing, so that the other end knows as well.
    pub send: Option<Vec<u8>>,
    /// Why it failed.
    pub error: AuthenticationError,
}

impl Handshake {
    /// The accepting end, and the message it opens with. `nonce` is random and used once.
    #[must_use]
    pub fn server(
        key: &[u8],
        generation: Generation,
        nonce: &[u8; NONCE_LENGTH],
    ) -> (Self, Vec<u8>) {
        let challenger = Challenger::new(generation, nonce);
        let opening = challenger.challenge();
        let stage = Stage::AwaitResponse(Role::Server);
        (
            Self {
                key: key.to_vec(),
                challenger: Some(challenger),
                stage,
                md5: Md5::default(),
            },
            opening,
        )
    }

    /// The connecting end, which waits for a message first. `nonce` is random and used once.
    #[must_use]
    pub fn client(key: &[u8], generation: Generation, nonce: &[u8; NONCE_LENGTH]) -> Self {
        let challenger = Some(Challenger::new(generation, nonce));
        Self {
            key: key.to_vec(),
            challenger,
            stage: Stage::AwaitChallenge(Role::Client),
            md5: Md5::default(),
        }
    }

    /// The same with another policy about MD5, which is allowed by default.
    #[must_use]
    pub fn with_md5(mut self, md5: Md5) -> Self {
        self.md5 = md5;
        self
    }

    /// Goes on with a message from the other end.
    pub fn receive(&mut self, message: &[u8]) -> Result<Step, Failed> {
        // Whatever goes wrong below ends the handshake.
        match core::mem::replace(&mut self.stage, Stage::Over) {
            Stage::AwaitResponse(role) => {
                let Some(challenger) = self.challenger.take() else {
                    return Err(over());
                };
                let (verdict, outcome) = challenger.judge(&self.key, message, self.md5);
                let send = Some(verdict.to_vec());
                if let Err(error) = outcome {
                    return Err(Failed { send, error });
                }
                if role == Role::Server {
                    self.stage = Stage::AwaitChallenge(role);
                }
                Ok(Step {
                    send,
                    done: role == Role::Client,
                })
            }
            Stage::AwaitChallenge(role) => {
                let response = auth::answer(&self.key, message, self.md5);
                let response = response.map_err(|error| Failed {
                    // Who waits for an answer hears that there will be none.
                    send: (error == AuthenticationError::Md5Refused).then(auth::refusal),
                    error,
                })?;
                self.stage = Stage::AwaitVerdict(role);
                Ok(Step {
                    send: Some(response),
                    done: false,
                })
            }
            Stage::AwaitVerdict(role) => {
                auth::accept_verdict(message).map_err(silent)?;
                if role == Role::Server {
                    return Ok(Step {
                        send: None,
                        done: true,
                    });
                }
                self.stage = Stage::AwaitResponse(role);
                let send = self.challenger.as_ref().map(Challenger::challenge);
                Ok(Step { send, done: false })
            }
            Stage::Over => Err(over()),
        }
    }
}

fn silent(error: AuthenticationError) -> Failed {
    Failed { send: None, error }
}

fn over() -> Failed {
    silent(AuthenticationError::AlreadyOver)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        server_key: &[u8],
        client_key: &[u8],
        generations: (Generation, Generation),
    ) -> (bool, bool, Vec<AuthenticationError>) {
        let server = Handshake::server(server_key, generations.0, &[1; 40]);
        let client = Handshake::client(client_key, generations.1, &[2; 40]);
        pass(server, client)
    }

    /// Passes messages between the ends until both are done or one gives up.
    fn pass(
        (mut server, opening): (Handshake, Vec<u8>),
        mut client: Handshake,
    ) -> (bool, bool, Vec<AuthenticationError>) {
        let mut to_client = Some(opening);
        let (mut server_done, mut client_done) = (false, false);
        let mut errors = Vec::new();
        let mut turn = |end: &mut Handshake, done: &mut bool, message: Option<Vec<u8>>| match end
            .receive(&message?)
        {
            Ok(step) => {
                *done |= step.done;
                step.send
            }
            // It has given up before, and closed the connection.
            Err(failed) if failed.error == AuthenticationError::AlreadyOver => None,
            Err(failed) => {
                errors.push(failed.error);
                failed.send
            }
        };
        while to_client.is_some() {
            let to_server = turn(&mut client, &mut client_done, to_client);
            to_client = turn(&mut server, &mut server_done, to_server);
            // The server sends its verdict and then waits; the client goes on after it.
        }
        (server_done, client_done, errors)
    }

    #[test]
    fn both_ends_are_done_with_the_same_key() {
        use Generation::{Legacy, Modern};
        for generations in [
            (Legacy, Legacy),
            (Legacy, Modern),
            (Modern, Legacy),
            (Modern, Modern),
        ] {
            assert_eq!(run(b"key", b"key", generations), (true, true, Vec::new()));
        }
    }

    #[test]
    fn both_ends_know_of_a_wrong_key() {
        let (server, client, errors) = run(b"key", b"other", Default::default());
        assert!(!server && !client);
        let expected = [
            AuthenticationError::ReceivedWrong,
            AuthenticationError::SentRejected,
        ];
        assert_eq!(errors, expected);
    }

    #[test]
    fn both_ends_know_that_md5_is_refused() {
        use AuthenticationError::{Md5Refused, SentRejected, UnsupportedDigest};
        let legacy = || Handshake::server(b"key", Generation::Legacy, &[1; 40]);
        let client = || Handshake::client(b"key", Generation::Modern, &[2; 40]);
        // An old server challenges; its client will not answer.
        let (server, client_done, errors) = pass(legacy(), client().with_md5(Md5::Refused));
        assert!(!server && !client_done);
        assert_eq!(errors, [Md5Refused, UnsupportedDigest]);
        // A client answers an old challenge of a server that wants no such answer.
        let (server, opening) = legacy();
        let refusing = (server.with_md5(Md5::Refused), opening);
        assert_eq!(pass(refusing, client()).2, [Md5Refused, SentRejected]);
        // Both ends can do better.
        let (server, opening) = Handshake::server(b"key", Generation::Modern, &[1; 40]);
        let refusing = (server.with_md5(Md5::Refused), opening);
        let outcome = pass(refusing, client().with_md5(Md5::Refused));
        assert_eq!(outcome, (true, true, Vec::new()));
    }

    #[test]
    fn nothing_is_accepted_after_the_end() {
        let mut client = Handshake::client(b"key", Generation::Modern, &[2; 40]);
        assert!(client.receive(b"nonsense").is_err());
        let after = client.receive(b"nonsense").unwrap_err();
        assert_eq!(after.error, AuthenticationError::AlreadyOver);
    }
}
