package mqtt

import (
	"bytes"
	"testing"
)

// Quirk Q2 and items 91, 92: fields are read from the whole remainder of the
// frame, and the packets behind are processed nevertheless.
func TestQuirk2FieldsReachBeyondThePacket(t *testing.T) {
	runFrames(t, []frame{
		{"91 a payload absorbs what follows", "30 09 00 04 74 65 73 74 00 68 69 C0 00",
			[]string{`PUBLISH "test" "hi\xc0\x00" foreign 2`, "PINGREQ"}},
		{"92 alone", "30 09 00 04 74 65 73 74 00 68 69", []string{`PUBLISH "test" "hi"`}},
		{"last in its frame", "C0 00 30 09 00 04 74 65 73 74 00 68 69", []string{"PINGREQ", `PUBLISH "test" "hi"`}},
		{"an unfinished packet is absorbed, too", "30 04 00 01 61 00 30 09 00",
			[]string{`PUBLISH "a" "0\t\x00" foreign 3`, "3 bytes wait"}},
		{"two publishes", "30 05 00 01 61 00 78 30 05 00 01 62 00 79",
			[]string{`PUBLISH "a" "x0\x05\x00\x01b\x00y" foreign 7`, `PUBLISH "b" "y"`}},
		{"a Remaining Length too short still parses", "82 03 00 01 00 00 04 74 65 73 74 00",
			[]string{`SUBSCRIBE 1 "test" 00 and 0 more`, "type 0", "1 bytes wait"}},
		{"a topic that reaches into the next packet", "30 00 00 01 61 00 68", []string{`PUBLISH "a" "h" foreign 1`, "type 0", "2 bytes wait"}},
		{"properties of a CONNECT", "10 0B" + name + "05 02 00 3C 02 C0 00 00 00", []string{`CONNECT v5 "" with ""`, "PINGREQ", "type 0"}},
		{"E0 00 reads the next packet", "E0 00 C0 00", []string{"read DISCONNECT: malformed packet: a field reaches beyond the end"}},
		{"E0 00 and a byte 0", "E0 00 00 00", []string{"DISCONNECT", "type 0"}},
	})
}

// Quirk Q3 and item 79: one filter counts, the others are only counted.
func TestQuirk3OnlyTheFirstFilter(t *testing.T) {
	runFrames(t, []frame{
		{"13 79 two filters", "82 11 00 01 00 00 04 74 65 73 74 00 00 04 61 62 63 64 00", []string{`SUBSCRIBE 1 "test" 00 and 1 more`}},
		{"three filters", "82 0F 00 01 00 00 01 61 01 00 01 62 02 00 01 63 02", []string{`SUBSCRIBE 1 "a" 01 and 2 more`}},
		{"further filters may be any bytes", "82 0B 00 01 00 00 01 61 00 00 01 FF 00", []string{`SUBSCRIBE 1 "a" 00 and 1 more`}},
		{"half a filter does not count", "82 0A 00 01 00 00 01 61 00 00 09 62", []string{`SUBSCRIBE 1 "a" 00 and 0 more`}},
		{"the next packet does not count", "82 07 00 01 00 00 01 61 00 00 01 62 00",
			[]string{`SUBSCRIBE 1 "a" 00 and 0 more`, "type 0", "1 bytes wait"}},
		{"two filters of an UNSUBSCRIBE", "A2 09 00 02 00 00 01 61 00 01 62", []string{`UNSUBSCRIBE 2 "a" and 1 more`}},
	})
	if got, want := AppendSuback(nil, 1, Success), packet("90 04 00 01 00 00"); !bytes.Equal(got, want) {
		t.Errorf("answer % X, want % X", got, want)
	}
}

func TestQuirk4UnsubackHasTheTypeOfSuback(t *testing.T) {
	for code, want := range map[Reason]string{Success: "90 04 00 02 00 00", NoSubscriptionExisted: "90 04 00 02 00 11"} {
		got := AppendUnsuback(nil, 2, code)
		if !bytes.Equal(got, packet(want)) {
			t.Errorf("%v: % X, want %s", code, got, want)
		}
		a, _, err := NextAnswer(got, MaxPacket)
		if err != nil {
			t.Fatal(err)
		}
		if k, err := a.Ack(); err != nil || k.PacketID != 2 || Reason(k.Codes[0]) != code {
			t.Errorf("%v: a client reads %+v, %v", code, k, err)
		}
	}
}

// Quirk Q24 and item 89: the packet identifier is taken for the length of the
// properties.
func TestQuirk24PacketIdentifierIsNotSkipped(t *testing.T) {
	const short = "read PUBLISH: malformed packet: a field reaches beyond the end"
	runFrames(t, []frame{
		{"13 89 id 1", "32 0B 00 04 74 65 73 74 00 01 00 68 69", []string{`PUBLISH "test" "\x01\x00hi" QoS 1`}},
		{"id 255", "34 0B 00 04 74 65 73 74 00 FF 00 68 69", []string{`PUBLISH "test" "\xff\x00hi" QoS 2`}},
		{"QoS 3", "36 0B 00 04 74 65 73 74 00 01 00 68 69", []string{`PUBLISH "test" "\x01\x00hi" QoS 3`}},
		{"13 89 id 0x0102", "32 0B 00 04 74 65 73 74 01 02 00 68 69", []string{short}},
		{"id 0x0900 is longer than the rest", "32 0B 00 04 74 65 73 74 09 00 00 68 69", []string{short}},
		{"an id may happen to be fine", "32 0C 00 01 61 02 01 00 00 68 69 68 69 68", []string{`PUBLISH "a" "\x00hihih" QoS 1`}},
		{"89 a topic with a dollar parses", "32 08 00 02 24 78 00 01 00 68", []string{`PUBLISH "$x" "\x01\x00h" QoS 1`}},
	})
}

// Quirk Q26 and item 101: the body of a DISCONNECT begins with a length.
func TestQuirk26Disconnect(t *testing.T) {
	const short = "read DISCONNECT: malformed packet: a field reaches beyond the end"
	runFrames(t, []frame{
		{"E0 02 00 00", "E0 02 00 00", []string{"DISCONNECT"}},
		{"E0 01 00", "E0 01 00", []string{"DISCONNECT"}},
		{"E0 02 80 00", "E0 02 80 00", []string{"DISCONNECT"}},
		{"any flags", "EF 02 00 00", []string{"DISCONNECT"}},
		{"E0 00", "E0 00", []string{short}},
		{"E0 02 04 00", "E0 02 04 00", []string{short}},
		{"E0 01 04", "E0 01 04", []string{short}},
		{"E0 01 80", "E0 01 80", []string{short}},
	})
}

// Quirk Q30 and items 80, 94: what subscribers get has the expiry at most.
func TestQuirk30PropertiesAreDropped(t *testing.T) {
	const in = "30 17 00 01 61 12 03 00 01 63 08 00 01 72 23 00 05 26 00 01 6B 00 01 76 68"
	r, _, err := NextRequest(packet(in))
	if err != nil {
		t.Fatal(err)
	}
	p, err := r.Publish()
	if err != nil {
		t.Fatal(err)
	}
	got, _ := AppendPublish(nil, Message{Topic: "a", Payload: p.Payload, Expiry: p.Expiry, Expires: p.Expires})
	if want := packet("30 05 00 01 61 00 68"); !bytes.Equal(got, want) {
		t.Errorf("passed on % X, want % X", got, want)
	}
}

// Quirk Q31: not even a client without an id is given one.
func TestQuirk31NoClientIDIsAssigned(t *testing.T) {
	a, _, err := NextAnswer(AppendConnack(nil, Success), MaxPacket)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.Connack()
	if id, ok := c.Properties.Bytes(AssignedClientID); ok || err != nil {
		t.Errorf("assigned %q, %v", id, err)
	}
}
