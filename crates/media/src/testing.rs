//! Connectivity checks as a full ICE agent sends them, for tests.

use crate::plan::IceCredentials;
use crate::stun;

pub(crate) fn binding_request(ice: &IceCredentials, id: [u8; 12], nominate: bool) -> Vec<u8> {
    request(
        ice,
        id,
        if nominate {
            &[0x80, 0x2A, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x25, 0, 0]
        } else {
            &[0x80, 0x2A, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]
        },
    )
}

pub(crate) fn controlled_request(ice: &IceCredentials, id: [u8; 12]) -> Vec<u8> {
    request(ice, id, &[0x80, 0x29, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1])
}

fn request(ice: &IceCredentials, id: [u8; 12], role: &[u8]) -> Vec<u8> {
    let mut message = vec![0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42];
    message.extend(id);
    let user = format!("{}:peer", ice.ufrag);
    message.extend([0, 6, 0, u8::try_from(user.len()).unwrap()]);
    message.extend(user.bytes());
    message.resize(message.len().next_multiple_of(4), 0);
    message.extend([0, 0x24, 0, 4, 0x6E, 0, 1, 0xFF]);
    message.extend(role);
    stun::seal(&mut message, &stun::integrity_key(&ice.pwd));
    message
}
