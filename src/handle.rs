//! The handle: everything a program can do with a running broker. The console, too, has no other door.
