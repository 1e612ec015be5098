//! The status codes of the table's second half: one line a code.

use std::fmt;

/// Declares the enum, its names and its list from one line a code, so that none can be forgotten.
macro_rules! statuses {
    ($($variant:ident = $code:literal $name:literal, $meaning:literal;)*) => {
        /// A STATUSCODE (the table's second half; contract, section 7, for which packet has which).
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u16)]
        pub enum Status { $(#[doc = $meaning] $variant = $code,)* }

        impl Status {
            /// Every status, in the order of the codes.
            pub const ALL: &'static [Status] = &[$(Status::$variant),*];

            /// The name that the table gives to the code, such as `CHAT_NOT_FOUND`.
            pub fn name(self) -> &'static str {
                match self { $(Status::$variant => $name,)* }
            }

            /// The status with this code, if there is one.
            pub fn from_code(code: u16) -> Option<Status> {
                match code { $($code => Some(Status::$variant),)* _ => None }
            }
        }
    };
}

statuses! {
    Ok                      = 400 "OK",                         "Done.";
    UsernameInvalid         = 401 "USERNAME_INVALID",           "The name is not allowed (length, characters).";
    PasswordInvalid         = 402 "PASSWORD_INVALID",           "The password is not allowed (length, characters).";
    UsernameAlreadyTaken    = 403 "USERNAME_ALREADY_TAKEN",     "Another account has the name.";
    ClientAlreadyLoggedIn   = 404 "CLIENT_ALREADY_LOGGED_IN",   "This connection is logged in.";
    UsernameAlreadyLoggedIn = 405 "USERNAME_ALREADY_LOGGED_IN", "The user is logged in on another connection.";
    PasswordWrong           = 406 "PASSWORD_WRONG",             "No such user, or a wrong password.";
    ClientNotLoggedIn       = 407 "CLIENT_NOT_LOGGED_IN",       "The request needs a login.";
    ChatNotFound            = 408 "CHAT_NOT_FOUND",             "No chat has the id, or the asker deleted it.";
    ChatPermissionDenied    = 409 "CHAT_PERMISSION_DENIED",     "The asker is no member of the chat.";
    ContactNotFound         = 410 "CONTACT_NOT_FOUND",          "No such user or contact, or it is gone.";
    ContactNotConfirmed     = 411 "CONTACT_NOT_CONFIRMED",      "The two are not contacts on both sides.";
    MediaNotFound           = 412 "MEDIA_NOT_FOUND",            "No media has the id.";
}

impl Status {
    /// The number that goes over the wire, 400 to 412.
    pub fn code(self) -> u16 {
        self as u16
    }
}

/// Code and name, for logs: `408 CHAT_NOT_FOUND`.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code(), self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_400_to_412_without_a_gap_and_lead_back() {
        let codes: Vec<u16> = Status::ALL.iter().map(|status| status.code()).collect();
        assert_eq!(codes, (400..=412).collect::<Vec<u16>>());
        for &status in Status::ALL {
            assert_eq!(Status::from_code(status.code()), Some(status));
        }
        assert_eq!(Status::from_code(399), None);
        assert_eq!(Status::from_code(413), None);
    }

    /// The table's names are the enum's names, in capitals.
    #[test]
    fn names_are_the_tables() {
        for status in Status::ALL {
            let joined = status.name().replace('_', "").to_lowercase();
            assert_eq!(joined, format!("{status:?}").to_lowercase());
        }
        assert_eq!(Status::ChatNotFound.to_string(), "408 CHAT_NOT_FOUND");
    }
}
