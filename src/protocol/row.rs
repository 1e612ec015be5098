//! What a row of the table of packets says, and what the macro `packets` makes of all rows.

use std::fmt;

/// Who sends a packet (table of packets, column "Absender").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    /// A request.
    Client,
    /// A reply, or a push.
    Server,
}

/// What a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// The client asks.
    Request {
        /// Without a login it is answered by 407, or by `211` where no reply has a status.
        needs_login: bool,
        /// Tokens that it takes from the connection's bucket.
        cost: u64,
    },
    /// The server answers.
    Reply {
        /// Which request; `None` for `210` and `211`, which answer any.
        to: Option<u16>,
        /// The statuses that it may have.
        statuses: &'static [u16],
    },
    /// The server tells something unasked.
    Push,
}

/// The type of a value, and the rules for its form (contract, section 2).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A signed 64-bit number: an id (from 1 on) or milliseconds since 1970-01-01T00:00:00Z.
    Long,
    /// A number without sign or leading zero.
    Int,
    /// An `Int` from 1 to 1000, the most messages that one answer of 130 has.
    Count,
    /// Text, bare (one word) or quoted; without control characters when a client sends it.
    Str,
    /// A `Str` that is a password: wiped, and never shown.
    Secret,
    /// A `Str` that is an address.
    Email,
    /// A `Str` of 1 to 32 characters.
    Gender,
    /// Text whose bare form is the rest of the line; quoted if a value follows it.
    Message,
    /// For people: the rest of the line, as a Message without anything behind it.
    Text,
    /// A `Str` that may also hold control characters, as escapes.
    Media,
    /// A STATUSCODE, 400 to 412.
    Status,
}

/// The type's name in the table of packets, where all texts are `Str`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Long => "Long",
            Kind::Int | Kind::Count => "int",
            Kind::Text => "Text",
            Kind::Status => "STATUSCODE",
            _ => "Str",
        })
    }
}

/// One value of a packet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// The name, as in the table of packets.
    pub name: &'static str,
    /// How it is written.
    pub kind: Kind,
    /// May be missing. Only the last value of a packet can be.
    pub optional: bool,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Row {
    /// The opcode, 110 to 248.
    pub number: u16,
    /// What it is for.
    pub role: Role,
    /// The name, as in the table of packets.
    pub name: &'static str,
    /// The values, in their order.
    pub values: &'static [Field],
    /// One line for people, without a full stop.
    pub help: &'static str,
}

impl Row {
    /// Who sends the packet.
    pub fn sender(&self) -> Sender {
        match self.role {
            Role::Request { .. } => Sender::Client,
            Role::Reply { .. } | Role::Push => Sender::Server,
        }
    }

    /// Whether the request is answered to who is logged in only.
    pub fn needs_login(&self) -> bool {
        matches!(self.role, Role::Request { needs_login, .. } if needs_login)
    }

    /// Tokens that the request takes from the connection's bucket.
    pub fn cost(&self) -> u64 {
        match self.role {
            Role::Request { cost, .. } => cost,
            _ => 0,
        }
    }

    /// Whether a value is a password.
    pub fn has_secret(&self) -> bool {
        self.values.iter().any(|field| field.kind == Kind::Secret)
    }
}

/// Number, name and values as help shows them: `115 MessageSend ChatID:Long Message:Str [Media:Str]`.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.name)?;
        for value in self.values {
            if value.optional {
                write!(f, " [{}:{}]", value.name, value.kind)?;
            } else {
                write!(f, " {}:{}", value.name, value.kind)?;
            }
        }
        Ok(())
    }
}

/// Makes of the rows: [`Row`]s, the look-up of a number, and for each role an enum with its way from
/// and to values. `super::table` has the rows, and says how one is written.
macro_rules! packets {
    (
        requests {$($asked:literal $request:ident $given:tt login $login:literal cost $cost:literal $what:literal;)*}
        replies {$($answer:literal $reply:ident $back:tt to $to:tt $([$($status:literal)*])? $how:literal;)*}
        pushes {$($told:literal $push:ident $news:tt $why:literal;)*}
    ) => {
        /// All packets: requests, replies, pushes.
        pub static PACKETS: &[Row] = &[
            $(packets!(@row $asked $request $given $what, Role::Request { needs_login: $login, cost: $cost }),)*
            $(packets!(@row $answer $reply $back $how, Role::Reply {
                to: packets!(@to $to),
                statuses: &[$($($status),*)?],
            }),)*
            $(packets!(@row $told $push $news $why, Role::Push),)*
        ];

        /// Where in `PACKETS` a packet stands.
        #[derive(Clone, Copy)]
        enum Index { $($request,)* $($reply,)* $($push,)* }

        /// The row of an opcode. [`LOGIN_ALIAS`] leads to Login's.
        pub fn row(number: u16) -> Option<&'static Row> {
            let index = match number {
                LOGIN_ALIAS => Index::Login,
                $($asked => Index::$request,)*
                $($answer => Index::$reply,)*
                $($told => Index::$push,)*
                _ => return None,
            };
            PACKETS.get(index as usize)
        }

        packets!(@enum Request "A packet of a client." $($asked $request $given $what)*);
        packets!(@enum Reply "A packet of the server that answers a request." $($answer $reply $back $how)*);
        packets!(@enum PushPacket "A packet that the server sends unasked." $($told $push $news $why)*);
        packets!(@secrets $($request $given)*);
    };
    (@row $number:literal $name:ident
        {$($field:ident: $kind:ident $($optional:ident)? $label:literal),*} $help:literal, $role:expr
    ) => {
        Row {
            number: $number,
            role: $role,
            name: stringify!($name),
            values: &[$(Field { name: $label, kind: Kind::$kind, optional: packets!(@optional $($optional)?) }),*],
            help: $help,
        }
    };
    (@enum $Enum:ident $doc:literal $($number:literal $name:ident
        {$($field:ident: $kind:ident $($optional:ident)? $label:literal),*} $help:literal)*
    ) => {
        #[doc = $doc]
        /// Texts borrow from the line that was parsed, unless it held escapes.
        #[derive(Clone, PartialEq, Eq)]
        pub enum $Enum<'a> {$(
            #[doc = concat!("`", $number, "`: ", $help)]
            $name {$(
                #[doc = $label]
                $field: packets!(@type $kind $($optional)?),
            )*},
        )*}

        impl<'a> $Enum<'a> {
            /// Of the values that were read by `row`; `None` if the row is not one of these.
            pub(super) fn of(row: &Row, values: Values<'a>) -> Option<$Enum<'a>> {
                let mut values = values.into_iter();
                Some(match row.number {
                    $($number => $Enum::$name { $($field: packets!(@of $kind $($optional)?, values.next()?)),* },)*
                    _ => return None,
                })
            }

            /// Hands its row, and its values in the order of the row, to `act`.
            pub(super) fn visit<R>(&self, act: impl FnOnce(&'static Row, &[Value<'_>]) -> R) -> R {
                match self {$(
                    $Enum::$name { $($field),* } => act(
                        &PACKETS[Index::$name as usize],
                        &[$(packets!(@value $kind $($optional)?, $field)),*],
                    ),
                )*}
            }

            /// The same without anything borrowed.
            pub fn into_owned(self) -> $Enum<'static> {
                match self {
                    $($Enum::$name { $($field),* } => $Enum::$name { $($field: packets!(@owned $kind $($optional)?, $field)),* },)*
                }
            }

            /// Its row of the table.
            pub fn row(&self) -> &'static Row {
                self.visit(|row, _| row)
            }

            /// The opcode.
            pub fn number(&self) -> u16 {
                self.row().number
            }

            /// The packet's name in the table of packets.
            pub fn name(&self) -> &'static str {
                self.row().name
            }

            /// Appends the packet as a line, with CR LF. Allocates nothing but room in `out`.
            pub fn format(&self, out: &mut Vec<u8>) {
                self.visit(|row, values| value::push_packet(out, row, values));
            }
        }

        /// Name, status and numbers only: packets end up in logs, and no text must.
        impl fmt::Debug for $Enum<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.visit(|row, values| value::show(f, row, values))
            }
        }
    };
    (@secrets $($name:ident {$($field:ident: $kind:ident $($optional:ident)? $label:literal),*})*) => {
        impl<'a> Request<'a> {
            /// Hands each password that it holds to `act`.
            pub fn each_secret(&mut self, mut act: impl FnMut(&mut Cow<'a, str>)) {
                match self {$(
                    #[allow(unused_variables)]
                    Request::$name { $($field),* } => { $(packets!(@secret $kind act $field);)* }
                )*}
            }
        }
    };
    (@secret Secret $act:ident $field:ident) => { $act($field) };
    (@secret $kind:ident $act:ident $field:ident) => {};
    (@optional optional) => { true };
    (@optional) => { false };
    (@to any) => { None };
    (@to $number:literal) => { Some($number) };
    // Types of values: what holds them, from what was read, to what is written, without borrowing.
    (@type $kind:ident optional) => { Option<packets!(@type $kind)> };
    (@type Long) => { i64 };
    (@type Int) => { u64 };
    (@type Count) => { u32 };
    (@type Status) => { Status };
    (@type $text:ident) => { Cow<'a, str> };
    (@of $kind:ident optional, $value:expr) => {
        match $value {
            Value::Absent => None,
            value => Some(packets!(@of $kind, value)),
        }
    };
    (@of Long, $value:expr) => { packets!(@held Long, $value) };
    (@of Int, $value:expr) => { packets!(@held Int, $value) };
    (@of Count, $value:expr) => { packets!(@held Int, $value).try_into().ok()? };
    (@of Status, $value:expr) => { packets!(@held Status, $value) };
    (@of $text:ident, $value:expr) => { packets!(@held Text, $value) };
    (@held $type:ident, $value:expr) => { if let Value::$type(held) = $value { held } else { return None } };
    (@value $kind:ident optional, $field:ident) => {
        $field.as_ref().map_or(Value::Absent, |held| packets!(@value $kind, held))
    };
    (@value Long, $field:ident) => { Value::Long(*$field) };
    (@value Int, $field:ident) => { Value::Int(*$field) };
    (@value Count, $field:ident) => { Value::Int(u64::from(*$field)) };
    (@value Status, $field:ident) => { Value::Status(*$field) };
    (@value $text:ident, $field:ident) => { Value::Text(Cow::Borrowed($field)) };
    (@owned $kind:ident optional, $field:ident) => { $field.map(|held| packets!(@owned $kind, held)) };
    (@owned Long, $field:ident) => { $field };
    (@owned Int, $field:ident) => { $field };
    (@owned Count, $field:ident) => { $field };
    (@owned Status, $field:ident) => { $field };
    (@owned $text:ident, $field:ident) => { Cow::Owned($field.into_owned()) };
}

pub(super) use packets;
