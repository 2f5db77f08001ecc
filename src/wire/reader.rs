//! Reads the fixed bodies of hot frames, field by field.

use super::{Kind, WireError};

/// What is left of a body. Each field is named as it is taken, for the error if it is not all there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    kind: Kind,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(kind: Kind, body: &'a [u8]) -> Self {
        Self { kind, rest: body }
    }

    fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], WireError> {
        let Some((head, rest)) = self.rest.split_first_chunk() else {
            return Err(WireError::Truncated { kind: self.kind, field });
        };
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u8(&mut self, field: &'static str) -> Result<u8, WireError> {
        self.array(field).map(u8::from_be_bytes)
    }

    pub(super) fn u16(&mut self, field: &'static str) -> Result<u16, WireError> {
        self.array(field).map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self, field: &'static str) -> Result<u32, WireError> {
        self.array(field).map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self, field: &'static str) -> Result<u64, WireError> {
        self.array(field).map(u64::from_be_bytes)
    }

    pub(super) fn bytes(&mut self, len: usize, field: &'static str) -> Result<&'a [u8], WireError> {
        let Some((head, rest)) = self.rest.split_at_checked(len) else {
            return Err(WireError::Truncated { kind: self.kind, field });
        };
        self.rest = rest;
        Ok(head)
    }

    /// Bytes after their `u16` length.
    pub(super) fn short_bytes(&mut self, field: &'static str) -> Result<&'a [u8], WireError> {
        let len = self.u16(field)?;
        self.bytes(usize::from(len), field)
    }

    /// UTF-8 after its `u16` length.
    pub(super) fn short_text(&mut self, field: &'static str) -> Result<&'a str, WireError> {
        let bytes = self.short_bytes(field)?;
        std::str::from_utf8(bytes).map_err(|_| self.invalid(field, "UTF-8"))
    }

    /// All that has not been taken.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Nothing may be left.
    pub(super) fn end(self) -> Result<(), WireError> {
        match self.rest.len() {
            0 => Ok(()),
            bytes => Err(WireError::Trailing { kind: self.kind, bytes }),
        }
    }

    pub(super) fn invalid(&self, field: &'static str, need: &'static str) -> WireError {
        WireError::Invalid { kind: self.kind, field, need }
    }
}
