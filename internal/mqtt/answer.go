package mqtt

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Answer is one packet from a server, cut out and not yet read.
type Answer struct {
	head byte
	body []byte
}

// NextAnswer cuts the first packet off b. n is its size in bytes; the next one
// begins at b[n:]. n is 0, without an error, as long as the packet is
// incomplete. The error is a [*TooLargeError] for a packet of more than limit
// bytes, raised as soon as its size is known, or a [Malformed] one: a length
// with needless bytes, flags or a type that no server sends.
//
// A client that subscribes at QoS 0 has no use for PUBACK, PUBREC, PUBREL,
// PUBCOMP and AUTH; of those only the header is checked.
func NextAnswer(b []byte, limit int) (a Answer, n int, err error) {
	head, own, err := header(b)
	if err != nil || head == 0 {
		return Answer{}, 0, err
	}
	if size := head + own; size > limit {
		return Answer{}, 0, &TooLargeError{Size: size, Limit: limit}
	}
	if head != 1+lengthSize(own) {
		return Answer{}, 0, errPadded
	}
	if bad := checkHead(b[0], own); bad != "" {
		return Answer{}, 0, bad
	}
	if len(b)-head < own {
		return Answer{}, 0, nil
	}
	return Answer{head: b[0], body: b[head : head+own : head+own]}, head + own, nil
}

// checkHead judges the first byte of a packet with n bytes behind its header.
func checkHead(head byte, n int) Malformed {
	t, want := Type(head>>4), byte(0)
	switch t {
	case TypePublish:
		return "" // its flags mean something
	case 0, TypeConnect, TypeSubscribe, TypeUnsubscribe, TypePingreq:
		return Malformed(fmt.Sprintf("no server sends a %s", t))
	case TypePubrel:
		want = flagsRequired
	case TypePingresp:
		if n != 0 {
			return "a PINGRESP has no body"
		}
	}
	if head != t.head(want) {
		return Malformed(fmt.Sprintf("reserved flags of a %s", t))
	}
	return ""
}

// Type is what the packet is.
func (a Answer) Type() Type { return Type(a.head >> 4) }

// fields starts reading a packet that should be of type t.
func (a Answer) fields(t Type) fields {
	if a.Type() != t {
		return fields{bad: errOther}
	}
	return fields{rest: a.body, minimal: true}
}

// end refuses bytes behind the last field.
func (f *fields) end() {
	if len(f.rest) > 0 {
		f.fail("bytes behind the last field")
	}
}

// Connack answers a CONNECT.
type Connack struct {
	// SessionPresent says that the server remembers the client.
	SessionPresent bool
	// Code is Success or why the server refuses.
	Code Reason
	// Old is set when a server that does not speak version 5 refuses in its own
	// form; Code is then what comes closest.
	Old bool
	// Properties tell what the server can do.
	Properties Properties
}

// Connack reads a CONNACK. The error is a [Malformed] one.
func (a Answer) Connack() (Connack, error) {
	f := a.fields(TypeConnack)
	flags := f.octet()
	c := Connack{SessionPresent: flags == 1, Code: Reason(f.octet())}
	if len(a.body) == 2 {
		c.Old, c.Code = true, f.fromOld(c.Code)
	} else {
		c.Properties = f.properties(TypeConnack)
	}
	if flags > 1 || c.SessionPresent && c.Code != Success {
		f.fail("reserved acknowledge flags")
	}
	f.code(c.Code, c.Code == Success)
	f.end()
	return c, f.err(TypeConnack)
}

// code checks a reason code, which is a failure or, in the eyes of the caller,
// a success that suits the packet.
func (f *fields) code(c Reason, suits bool) {
	if f.bad == "" && !suits && !c.Failure() {
		f.fail(Malformed(fmt.Sprintf("reason code 0x%02X does not belong here", byte(c))))
	}
}

// oldCodes has for each return code of MQTT 3.1.1 (its table 3.1) the reason
// code that comes closest.
func oldCodes() [6]Reason {
	return [...]Reason{Success, UnsupportedProtocolVersion, ClientIDNotValid, ServerUnavailable, BadUserNameOrPassword, NotAuthorized}
}

// fromOld translates the return code of a refusal. Success is none: a server
// that accepts a client of version 5 must answer in kind.
func (f *fields) fromOld(code Reason) Reason {
	if codes := oldCodes(); code != 0 && int(code) < len(codes) {
		return codes[code]
	}
	f.fail("return code of another version")
	return code
}

// Append appends the packet that [Answer.Connack] reads as c.
func (c Connack) Append(dst []byte) []byte {
	flags := byte(0)
	if c.SessionPresent {
		flags = 1
	}
	if c.Old {
		codes := oldCodes()
		return append(dst, TypeConnack.head(0), 2, flags, byte(slices.Index(codes[:], c.Code)))
	}
	dst = appendHeader(dst, TypeConnack.head(0), 2+c.Properties.size())
	return c.Properties.appendTo(append(dst, flags, byte(c.Code)))
}

// Delivery is a PUBLISH from a server.
type Delivery struct {
	// Topic is UTF-8. It is empty only if the properties have a TopicAlias that
	// stands for it; with both, the alias stands for this topic from now on.
	Topic   []byte
	Payload []byte
	// Retain says that the message was stored.
	Retain bool
	// Duplicate says that the server may have sent it before; QoS 1 and 2 only.
	Duplicate bool
	// QoS is 0, 1 or 2.
	QoS byte
	// PacketID is what to acknowledge; 0 at QoS 0.
	PacketID uint16
	// Properties may have the MessageExpiry and whatever else the publisher said.
	Properties Properties
}

// Publish reads a PUBLISH. The error is a [Malformed] one. A topic with a
// wildcard character passes, though the standard forbids it: the app's topics
// may have any.
func (a Answer) Publish() (Delivery, error) {
	f := a.fields(TypePublish)
	d := Delivery{QoS: a.head >> 1 & 3, Retain: a.head&flagRetain != 0, Duplicate: a.head&flagDuplicate != 0}
	d.Topic = f.text()
	if d.QoS > 0 {
		d.PacketID = f.two()
	}
	d.Properties = f.properties(TypePublish)
	d.Payload = f.take(len(f.rest))
	if why := d.contradiction(); why != "" {
		f.fail(why)
	}
	return d, f.err(TypePublish)
}

// contradiction is what fields that are fine by themselves do wrong together.
func (d Delivery) contradiction() Malformed {
	switch {
	case d.QoS == 3:
		return "QoS 3"
	case d.QoS == 0 && d.Duplicate:
		return "a duplicate at QoS 0"
	case d.QoS > 0 && d.PacketID == 0:
		return "packet identifier 0"
	}
	if _, ok := d.Properties.Number(TopicAlias); !ok && len(d.Topic) == 0 {
		return "neither a topic nor an alias"
	}
	return ""
}

// Append appends the packet that [Answer.Publish] reads as d.
func (d Delivery) Append(dst []byte) []byte {
	head := TypePublish.head(d.QoS << 1)
	if d.Retain {
		head |= flagRetain
	}
	if d.Duplicate {
		head |= flagDuplicate
	}
	n := 2 + len(d.Topic) + d.Properties.size() + len(d.Payload)
	if d.QoS > 0 {
		n += 2
	}
	dst = appendText(appendHeader(dst, head, n), d.Topic)
	if d.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, d.PacketID)
	}
	return append(d.Properties.appendTo(dst), d.Payload...)
}

// Ack answers a SUBSCRIBE or an UNSUBSCRIBE.
type Ack struct {
	// Type is TypeSuback or TypeUnsuback, as on the wire. The app's answer to an
	// UNSUBSCRIBE has the former (Quirk Q4), so go by the PacketID.
	Type Type
	// PacketID is that of the request.
	PacketID uint16
	// Codes has a Reason for each filter of the request, at least one.
	Codes []byte
	// Properties may have a ReasonString.
	Properties Properties
}

// Ack reads a SUBACK or an UNSUBACK. The error is a [Malformed] one. Because of
// Quirk Q4 a SUBACK may say what only an UNSUBACK should.
func (a Answer) Ack() (Ack, error) {
	k := Ack{Type: TypeSuback}
	if a.Type() == TypeUnsuback {
		k.Type = TypeUnsuback
	}
	f := a.fields(k.Type)
	k.PacketID = f.two()
	k.Properties = f.properties(k.Type)
	k.Codes = f.take(len(f.rest))
	if len(k.Codes) == 0 {
		f.fail("no reason code")
	}
	for _, c := range k.Codes {
		f.code(Reason(c), k.suits(Reason(c)))
	}
	return k, f.err(k.Type)
}

// suits reports whether a code is a success that the packet may tell.
func (k Ack) suits(c Reason) bool {
	return c == Success || c == NoSubscriptionExisted || k.Type == TypeSuback && c <= GrantedQoS2
}

// Append appends the packet that [Answer.Ack] reads as k.
func (k Ack) Append(dst []byte) []byte {
	dst = appendHeader(dst, k.Type.head(0), 2+k.Properties.size()+len(k.Codes))
	dst = append(dst, byte(k.PacketID>>8), byte(k.PacketID))
	return append(k.Properties.appendTo(dst), k.Codes...)
}

// Disconnect is a server's farewell.
type Disconnect struct {
	// Code says why; Success if the server did not.
	Code Reason
	// Properties may have a ReasonString and a ServerReference.
	Properties Properties
}

// Disconnect reads a DISCONNECT. The error is a [Malformed] one. Without
// properties their length may be missing, and the code too if it is Success.
func (a Answer) Disconnect() (Disconnect, error) {
	f := a.fields(TypeDisconnect)
	var d Disconnect
	if len(f.rest) > 0 {
		d.Code = Reason(f.octet())
	}
	if len(f.rest) > 0 {
		d.Properties = f.properties(TypeDisconnect)
	}
	f.code(d.Code, d.Code == Success)
	f.end()
	return d, f.err(TypeDisconnect)
}

// Append appends a packet that [Answer.Disconnect] reads as d: always the code,
// and the properties if there are any.
func (d Disconnect) Append(dst []byte) []byte {
	if len(d.Properties.block) == 0 {
		return AppendDisconnect(dst, d.Code)
	}
	dst = appendHeader(dst, TypeDisconnect.head(0), 1+d.Properties.size())
	return d.Properties.appendTo(append(dst, byte(d.Code)))
}
