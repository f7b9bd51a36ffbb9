//! The rules of the HTTP layer over real sockets, with a made-up backend in place of the layers behind.

mod bounds;
mod fake;
mod identity;
mod protocol;
mod set_password;
mod surroundings;
