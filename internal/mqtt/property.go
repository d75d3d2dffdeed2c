package mqtt

import (
	"fmt"
	"iter"
)

// Property identifies one of the named values a packet can carry besides its
// fields (MQTT 5, 2.2.2.2).
type Property byte

// The properties of packets that servers send, and of PUBLISH from either side.
const (
	PayloadFormat       Property = 0x01 // number: 1 if the payload is UTF-8
	MessageExpiry       Property = 0x02 // number: seconds left
	ContentType         Property = 0x03 // text
	ResponseTopic       Property = 0x08 // text
	CorrelationData     Property = 0x09 // bytes
	SubscriptionID      Property = 0x0B // number, may be there several times
	SessionExpiry       Property = 0x11 // number: seconds
	AssignedClientID    Property = 0x12 // text
	ServerKeepAlive     Property = 0x13 // number: seconds, replaces what the client asked for
	AuthMethod          Property = 0x15 // text
	AuthData            Property = 0x16 // bytes
	ResponseInformation Property = 0x1A // text
	ServerReference     Property = 0x1C // text: where else to go
	ReasonString        Property = 0x1F // text for people
	ReceiveMaximum      Property = 0x21 // number: messages above QoS 0 under way
	TopicAliasMaximum   Property = 0x22 // number: greatest alias the server takes
	TopicAlias          Property = 0x23 // number, stands for a topic
	MaximumQoS          Property = 0x24 // number: 0 or 1, absent means 2
	RetainAvailable     Property = 0x25 // number: 0 or 1, absent means 1
	UserProperty        Property = 0x26 // pair of texts, may be there several times
	MaximumPacketSize   Property = 0x27 // number: bytes the server takes
	WildcardAvailable   Property = 0x28 // number: 0 or 1, absent means 1
	SubscriptionIDs     Property = 0x29 // number: 0 or 1, absent means 1
	SharedSubscriptions Property = 0x2A // number: 0 or 1, absent means 1
)

// form is how the value of a property is written.
type form byte

const (
	formNone   form = iota // no such property
	formSwitch             // one byte, 0 or 1
	formTwo                // two bytes
	formFour               // four bytes
	formLength             // a variable byte integer
	formText
	formBinary
	formPair // two texts
)

// trait is what the standard says about a property.
type trait struct {
	form form
	// in has one bit for each Type that may carry the property.
	in uint16
	// positive forbids the value zero.
	positive bool
}

// Where a property may stand.
const (
	inPublish    = 1 << TypePublish
	inConnack    = 1 << TypeConnack
	inAck        = 1<<TypeSuback | 1<<TypeUnsuback
	inDisconnect = 1 << TypeDisconnect
	inAll        = inPublish | inConnack | inAck | inDisconnect
)

// traitOf looks a property up (MQTT 5, table 2-4, without what only clients
// send).
func traitOf(id Property) trait {
	switch id {
	case PayloadFormat:
		return trait{form: formSwitch, in: inPublish}
	case MessageExpiry:
		return trait{form: formFour, in: inPublish}
	case ContentType, ResponseTopic:
		return trait{form: formText, in: inPublish}
	case CorrelationData:
		return trait{form: formBinary, in: inPublish}
	case SubscriptionID:
		return trait{form: formLength, in: inPublish, positive: true}
	case TopicAlias:
		return trait{form: formTwo, in: inPublish, positive: true}
	case AssignedClientID, AuthMethod, ResponseInformation:
		return trait{form: formText, in: inConnack}
	case AuthData:
		return trait{form: formBinary, in: inConnack}
	case SessionExpiry:
		return trait{form: formFour, in: inConnack}
	case MaximumPacketSize:
		return trait{form: formFour, in: inConnack, positive: true}
	case ServerKeepAlive, TopicAliasMaximum:
		return trait{form: formTwo, in: inConnack}
	case ReceiveMaximum:
		return trait{form: formTwo, in: inConnack, positive: true}
	case MaximumQoS, RetainAvailable, WildcardAvailable, SubscriptionIDs, SharedSubscriptions:
		return trait{form: formSwitch, in: inConnack}
	case ServerReference:
		return trait{form: formText, in: inConnack | inDisconnect}
	case ReasonString:
		return trait{form: formText, in: inConnack | inAck | inDisconnect}
	case UserProperty:
		return trait{form: formPair, in: inAll}
	}
	return trait{}
}

// value is what a property says: a number, or bytes, or a pair of them.
type value struct {
	number        uint32
	bytes, second []byte
}

func (f *fields) value(as form) (v value) {
	switch as {
	case formSwitch:
		v.number = uint32(f.octet())
	case formTwo:
		v.number = uint32(f.two())
	case formFour:
		v.number = f.four()
	case formLength:
		v.number = uint32(f.length())
	case formText:
		v.bytes = f.text()
	case formBinary:
		v.bytes = f.binary()
	case formPair:
		v.bytes = f.text()
		v.second = f.text()
	}
	return v
}

// property reads the next property of a block in a packet of type t.
func (f *fields) property(t Type) (Property, trait, value) {
	id := Property(f.octet())
	is := traitOf(id)
	if is.in&(1<<t) == 0 {
		f.fail(Malformed(fmt.Sprintf("property 0x%02X does not belong here", byte(id))))
	}
	return id, is, f.value(is.form)
}

// Properties is the property block of an answer, checked against the standard.
// The zero value has none. It shares memory with the packet it came from.
type Properties struct {
	block []byte
	of    Type
}

// properties reads a property block and checks it: each property belongs into
// the packet, is in range and, but for two kinds, not repeated.
func (f *fields) properties(of Type) Properties {
	p := Properties{f.take(f.length()), of}
	in := fields{rest: p.block, minimal: true}
	var seen uint64
	for len(in.rest) > 0 {
		id, is, v := in.property(of)
		in.check(id, is, v, seen)
		seen |= 1 << id
	}
	if in.bad != "" {
		f.fail(in.bad)
	}
	return p
}

// check judges one property; seen has a bit for each one before it.
func (f *fields) check(id Property, is trait, v value, seen uint64) {
	repeats := id == UserProperty || id == SubscriptionID
	switch {
	case f.bad != "":
	case seen&(1<<id) != 0 && !repeats:
		f.fail(Malformed(fmt.Sprintf("property 0x%02X is repeated", byte(id))))
	case is.positive && v.number == 0, is.form == formSwitch && v.number > 1:
		f.fail(Malformed(fmt.Sprintf("property 0x%02X is out of range", byte(id))))
	}
}

// Number returns the value of a property that is a number, and whether it is
// there; the units are with the constants. Of several it is the first.
func (p Properties) Number(id Property) (uint32, bool) {
	v, ok := p.find(id)
	return v.number, ok
}

// Bytes returns the value of a property that is a text or bytes, and whether it
// is there.
func (p Properties) Bytes(id Property) ([]byte, bool) {
	v, ok := p.find(id)
	return v.bytes, ok
}

// User gives the user properties, name and value, in their order.
func (p Properties) User() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		for f := (fields{rest: p.block}); len(f.rest) > 0; {
			if id, _, v := f.property(p.of); id == UserProperty && !yield(v.bytes, v.second) {
				return
			}
		}
	}
}

func (p Properties) find(want Property) (value, bool) {
	for f := (fields{rest: p.block}); len(f.rest) > 0; {
		if id, _, v := f.property(p.of); id == want {
			return v, true
		}
	}
	return value{}, false
}

// size is how many bytes appendTo takes.
func (p Properties) size() int { return lengthSize(len(p.block)) + len(p.block) }

func (p Properties) appendTo(dst []byte) []byte {
	return append(appendLength(dst, len(p.block)), p.block...)
}
