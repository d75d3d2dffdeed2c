package hub

// Sink is the writing half of a connection. Its methods are called by the
// member's shard only.
type Sink interface {
	// Write takes what it can of p without waiting and without keeping p. full
	// says that it took less and will signal when there is room again.
	Write(p []byte) (n int, full bool, err error)
	// Finish ends the connection once what Write took has been sent.
	Finish()
	// Abort ends the connection at once.
	Abort()
}

// Signal is how a sink that watches its own connection, as a Mailbox does,
// tells the shard. Its methods may be called from any goroutine, also after the
// member has ended.
type Signal struct {
	writable func()
	gone     func(error)
}

// Writable says that there is room again after a full Write.
func (s Signal) Writable() { s.writable() }

// Gone says that the peer has left or the connection has failed.
func (s Signal) Gone(err error) { s.gone(err) }

// watcher is a sink that wants a Signal before its first Write.
type watcher interface{ watch(Signal) }
