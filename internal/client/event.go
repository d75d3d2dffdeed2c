package client

import "time"

// Kind says what happened to a subscription.
type Kind uint8

// The kinds of events, in the order a subscription usually meets them.
const (
	// KindOpen: the service confirmed a connection.
	KindOpen Kind = iota + 1
	// KindMessage: a message arrived.
	KindMessage
	// KindGap: messages may have been missed; Text says which.
	KindGap
	// KindReconnecting: the connection is gone or was not made, for the reason
	// Err; the next attempt follows after Wait.
	KindReconnecting
	// KindRefused: the service said no and the subscription is over.
	KindRefused
	// KindEnded: the subscription is over for another reason.
	KindEnded
)

// String is the kind's word in records.
func (k Kind) String() string {
	switch k {
	case KindOpen:
		return "open"
	case KindMessage:
		return "message"
	case KindGap:
		return "gap"
	case KindReconnecting:
		return "reconnecting"
	case KindRefused:
		return "refused"
	case KindEnded:
		return "ended"
	}
	return "unknown"
}

// Event is one thing that happened to a subscription.
type Event struct {
	Kind Kind
	// Time is when this client learned of it.
	Time time.Time
	// Transport is the transport's name.
	Transport string
	// Conn counts the connections of this subscription from 1.
	Conn int
	// Message is set for KindMessage. Its Data is valid until the function
	// that got the event returns.
	Message Message
	// Text says in a sentence what a gap may have swallowed.
	Text string
	// Since is when the connection before a gap was lost, else zero.
	Since time.Time
	// Attempt counts failures in a row from 1 for KindReconnecting, and Wait is
	// the pause that follows.
	Attempt int
	Wait    time.Duration
	// Err is the cause of KindReconnecting, KindRefused and KindEnded.
	Err error
}
