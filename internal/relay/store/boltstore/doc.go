// Package boltstore is a store.Store in a file.
//
// A Put, a Delete or a change of a key returns after the file system has said
// that the change is on the disk, so what was acknowledged survives the end of
// the process, however it ends. Writers that wait together share one commit.
// Everything is also held in memory and read from there: a read never waits for
// the disk, and goes on when the disk is full or broken. Memory and file are
// bounded by store.Options.
//
// One process at a time uses a directory; a second one gets ErrLocked. A file
// that is not what this package wrote is refused with a *CorruptError and left
// as it is: never emptied, never started anew. Each record carries a checksum
// and the file a tally of all records, so that a damaged byte makes its slot
// unreadable (store.ErrUnreadable) and a lost record is noticed, instead of
// being taken for an empty place.
//
// What is not promised: that a message whose Put failed is gone after a restart
// (the disk may have taken it before it complained), protection from somebody
// who changes the file on purpose, or encryption. Secrets lie in the file as
// they are, which is why nobody else may read it.
package boltstore
