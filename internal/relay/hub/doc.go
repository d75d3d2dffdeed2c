// Package hub delivers values to connections in memory: who listens to what,
// and the rounds in which waiting values are written.
//
// Every connection joins as a Member and belongs to one shard for life. A shard
// is one goroutine that owns its members, their subscriptions and its timers;
// others talk to it through an inbox. A round takes what waits in the inbox,
// joins the bytes of each channel once, and makes one non-blocking write per
// member.
//
// Values published by one goroutine reach each member in the order published,
// across channels too, and all members of a channel get its values in the same
// order, whoever publishes at the same time. Publish never waits for a reader: a member that falls behind its
// backlog ends with ErrSlow, and what it had queued is still sent if its peer
// takes it in time. A value published after Join returned reaches the member,
// one published before does not. Nothing survives a restart.
//
// In plain words: the writer that has the message writes it to everybody
// itself, nobody waits for anybody, and whoever cannot keep up is let go by name.
//
// The package knows nothing of HTTP, GRIP, tokens or storage; how a value looks
// on the wire is the Encode function's business.
package hub
