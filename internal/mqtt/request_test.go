package mqtt

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// packet makes bytes of the notation of the contract: hex digits, spaces free.
func packet(text string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// requests reads a frame to its end and writes each packet on a line: what the
// app takes from it, why it is malformed, or how many bytes wait for more.
func requests(frame []byte) []string {
	var lines []string
	for len(frame) > 0 {
		r, n, err := NextRequest(frame)
		text := ""
		if n > 0 {
			text, err = describe(r)
		}
		switch {
		case err != nil:
			return append(lines, err.Error())
		case n == 0:
			return append(lines, fmt.Sprintf("%d bytes wait", len(frame)))
		}
		lines, frame = append(lines, text), frame[n:]
	}
	return lines
}

func describe(r Request) (string, error) {
	switch t := r.Type(); t {
	case TypeConnect:
		c, err := r.Connect()
		return fmt.Sprintf("CONNECT v%d %q with %q", c.Version, c.ClientID, []byte(c.Password)), err
	case TypeSubscribe:
		s, err := r.Subscribe()
		return fmt.Sprintf("SUBSCRIBE %d %q %02X and %d more", s.PacketID, s.Filter, s.Options.octet(), s.More), err
	case TypeUnsubscribe:
		u, err := r.Unsubscribe()
		return fmt.Sprintf("UNSUBSCRIBE %d %q and %d more", u.PacketID, u.Filter, u.More), err
	case TypePublish:
		p, err := r.Publish()
		return describePublish(p), err
	case TypeDisconnect:
		return "DISCONNECT", r.Disconnect()
	default:
		return t.String(), nil
	}
}

func describePublish(p Publish) string {
	text := fmt.Sprintf("PUBLISH %q %q", p.Topic, p.Payload)
	if p.Foreign > 0 {
		text += fmt.Sprintf(" foreign %d", p.Foreign)
	}
	if p.QoS > 0 {
		text += fmt.Sprintf(" QoS %d", p.QoS)
	}
	if p.Retain {
		text += " retain"
	}
	if p.Expires {
		text += fmt.Sprintf(" expiry %d", p.Expiry)
	}
	return text
}

// frame is a case of the tables: a frame and what the app reads from it.
type frame struct {
	name, bytes string
	want        []string
}

func runFrames(t *testing.T, frames []frame) {
	t.Helper()
	for _, c := range frames {
		t.Run(c.name, func(t *testing.T) {
			if got := requests(packet(c.bytes)); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

// token is T_RW of the contract's section 13.
const token = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCIsImtpZCI6InRlc3QifQ" +
	".eyJleHAiOjQxMDI0NDQ4MDAsIngtZmFzdGx5LXJlYWQiOlsidGVzdCJdLCJ4LWZhc3RseS13cml0ZSI6WyJ0ZXN0Il19" +
	".SVUBAA3a9csKuaT6IgsIocSWZ337KW02X-gd-PZw6FE"

// name is the beginning of a CONNECT's body up to the protocol name.
const name = "00 04 4D 51 54 54 "

func TestConnect(t *testing.T) {
	const short = "read CONNECT: malformed packet: a field reaches beyond the end"
	const notUTF8 = "read CONNECT: malformed packet: a string is not UTF-8"
	const notMQTT = "read CONNECT: malformed packet: the protocol is not MQTT"
	const c1 = `CONNECT v5 "c1" with ""`
	runFrames(t, []frame{
		{"13 with a token", "10 D0 01 " + name + "05 42 00 3C 00 00 02 63 31 00 BF" + hex.EncodeToString([]byte(token)),
			[]string{`CONNECT v5 "c1" with "` + token + `"`}},
		{"without a password", "10 0F" + name + "05 02 00 3C 00 00 02 63 31", []string{c1}},
		{"empty client id", "10 0D" + name + "05 02 00 3C 00 00 00", []string{`CONNECT v5 "" with ""`}},
		{"password flag, empty password", "10 11" + name + "05 42 00 3C 00 00 02 63 31 00 00", []string{c1}},
		{"reserved flags", "1F 0F" + name + "05 03 00 3C 00 00 02 63 31", []string{c1}},
		{"properties unread, however wrong", "10 12" + name + "05 02 00 3C 03 99 99 99 00 02 63 31", []string{c1}},
		{"will, user name and password", "10 1D" + name + "05 C6 00 3C 00 00 02 63 31  01 99 00 01 77 00 01 FF  00 01 75 00 01 70",
			[]string{`CONNECT v5 "c1" with "p"`}},
		{"will topic not UTF-8", "10 16" + name + "05 06 00 3C 00 00 02 63 31 00 00 01 FF 00 01 77", []string{notUTF8}},
		{"will cut short", "10 13" + name + "05 06 00 3C 00 00 02 63 31 00 00 01 77", []string{short}},
		{"75 13 version 3.1.1", "10 0E" + name + "04 02 00 3C 00 02 63 31", []string{`CONNECT v4 "" with ""`}},
		{"75 version 6", "10 07" + name + "06", []string{`CONNECT v6 "" with ""`}},
		{"version 0x84 of a bridge", "10 07" + name + "84", []string{`CONNECT v132 "" with ""`}},
		{"75 13 version 3.1", "10 10 00 06 4D 51 49 73 64 70 03 02 00 3C 00 02 63 31", []string{notMQTT}},
		{"lower case name", "10 07 00 04 6D 71 74 74 05", []string{notMQTT}},
		{"name not UTF-8", "10 07 00 04 FF FF FF FF 05", []string{notUTF8}},
		{"no version", "10 06" + name, []string{short}},
		{"no flags", "10 07" + name + "05", []string{short}},
		{"no client id", "10 0B" + name + "05 02 00 3C 00", []string{short}},
		{"client id not UTF-8", "10 0E" + name + "05 02 00 3C 00 00 01 FF", []string{notUTF8}},
		{"user name not UTF-8", "10 11" + name + "05 82 00 3C 00 00 01 61 00 01 FF", []string{notUTF8}},
		{"password not UTF-8", "10 11" + name + "05 42 00 3C 00 00 01 61 00 01 FF", []string{notUTF8}},
		{"property length of five bytes", "10 12" + name + "05 02 00 3C FF FF FF FF 01 00 01 61",
			[]string{"read CONNECT: malformed packet: a length of more than four bytes"}},
	})
}

func TestConnectTellsNoPasswordFromAnEmptyOne(t *testing.T) {
	for body, want := range map[string]bool{"10 11" + name + "05 42 00 3C 00 00 02 63 31 00 00": true,
		"10 0F" + name + "05 02 00 3C 00 00 02 63 31": false} {
		r, _, _ := NextRequest(packet(body))
		if c, err := r.Connect(); (c.Password != nil) != want || err != nil {
			t.Errorf("%s: password %v, %v", body, []byte(c.Password), err)
		}
	}
}

func TestSubscribe(t *testing.T) {
	const short = "read SUBSCRIBE: malformed packet: a field reaches beyond the end"
	const flags = "read SUBSCRIBE: malformed packet: the flags of a SUBSCRIBE are 2"
	runFrames(t, []frame{
		{"13 plain", "82 0A 00 01 00 00 04 74 65 73 74 00", []string{`SUBSCRIBE 1 "test" 00 and 0 more`}},
		{"13 80 subscription identifier and options", "82 0C 00 01 02 0B 05 00 04 74 65 73 74 2D",
			[]string{`SUBSCRIBE 1 "test" 2D and 0 more`}},
		{"packet id 0", "82 0A 00 00 00 00 04 74 65 73 74 00", []string{`SUBSCRIBE 0 "test" 00 and 0 more`}},
		{"78 empty filter", "82 06 00 01 00 00 00 00", []string{`SUBSCRIBE 1 "" 00 and 0 more`}},
		{"78 wildcards are for the caller", "82 07 00 01 00 00 01 23 00", []string{`SUBSCRIBE 1 "#" 00 and 0 more`}},
		{"reserved option bits are cut off", "82 0A 00 01 00 00 04 74 65 73 74 C0", []string{`SUBSCRIBE 1 "test" 00 and 0 more`}},
		{"properties unread, however wrong", "82 0C 00 01 02 99 99 00 04 74 65 73 74 00", []string{`SUBSCRIBE 1 "test" 00 and 0 more`}},
		{"82 flags 0", "80 0A 00 01 00 00 04 74 65 73 74 00", []string{flags}},
		{"82 flags 3", "83 0A 00 01 00 00 04 74 65 73 74 00", []string{flags}},
		{"82 no filter", "82 03 00 01 00", []string{short}},
		{"filter without options", "82 09 00 01 00 00 04 74 65 73 74", []string{short}},
		{"filter too long", "82 0A 00 01 00 00 06 74 65 73 74 00", []string{short}},
		{"no packet id", "82 01 00", []string{short}},
		{"properties too long", "82 0A 00 01 09 00 04 74 65 73 74 00", []string{short}},
		{"filter not UTF-8", "82 07 00 01 00 00 01 FF 00", []string{"read SUBSCRIBE: malformed packet: a string is not UTF-8"}},
	})
}

func TestUnsubscribe(t *testing.T) {
	const short = "read UNSUBSCRIBE: malformed packet: a field reaches beyond the end"
	runFrames(t, []frame{
		{"13 87 plain", "A2 09 00 02 00 00 04 74 65 73 74", []string{`UNSUBSCRIBE 2 "test" and 0 more`}},
		{"any flags", "A0 09 00 02 00 00 04 74 65 73 74", []string{`UNSUBSCRIBE 2 "test" and 0 more`}},
		{"properties unread", "A2 0A 00 02 01 99 00 04 74 65 73 74", []string{`UNSUBSCRIBE 2 "test" and 0 more`}},
		{"no filter", "A2 03 00 02 00", []string{short}},
		{"no properties", "A2 02 00 02", []string{short}},
		{"filter not UTF-8", "A2 06 00 02 00 00 01 FF", []string{"read UNSUBSCRIBE: malformed packet: a string is not UTF-8"}},
	})
}

func TestPublish(t *testing.T) {
	const short = "read PUBLISH: malformed packet: a field reaches beyond the end"
	const notUTF8 = "read PUBLISH: malformed packet: a string is not UTF-8"
	runFrames(t, []frame{
		{"13 plain", "30 09 00 04 74 65 73 74 00 68 69", []string{`PUBLISH "test" "hi"`}},
		{"13 another", "30 0D 00 05 66 72 75 69 74 00 61 70 70 6C 65", []string{`PUBLISH "fruit" "apple"`}},
		{"13 95 retain, expiry 60", "31 0E 00 04 74 65 73 74 05 02 00 00 00 3C 68 69", []string{`PUBLISH "test" "hi" retain expiry 60`}},
		{"95 expiry 0 is an expiry", "31 0E 00 04 74 65 73 74 05 02 00 00 00 00 68 69", []string{`PUBLISH "test" "hi" retain expiry 0`}},
		{"repeated expiry, the last counts", "30 0F 00 01 61 0A 02 00 00 00 01 02 00 00 00 02 68", []string{`PUBLISH "a" "h" expiry 2`}},
		{"DUP is ignored", "38 09 00 04 74 65 73 74 00 68 69", []string{`PUBLISH "test" "hi"`}},
		{"empty payload", "30 04 00 01 61 00", []string{`PUBLISH "a" ""`}},
		{"90 13 alias only", "30 0A 00 00 03 23 00 01 68 69 68 69", []string{`PUBLISH "" "hihi"`}},
		{"90 dollar topic", "30 05 00 02 24 78 00", []string{`PUBLISH "$x" ""`}},
		{"a payload of any bytes", "30 06 00 01 61 00 FF 00", []string{`PUBLISH "a" "\xff\x00"`}},
		{"94 every property that may be there",
			"30 24 00 01 61 1F 01 07 03 00 01 63 08 00 01 72 09 00 01 FF 0B 05 23 00 00 26 00 01 6B 00 01 76 02 00 00 00 09 68",
			[]string{`PUBLISH "a" "h" expiry 9`}},
		{"needless bytes in lengths", "30 87 80 80 00 00 01 61 80 80 00 68", []string{`PUBLISH "a" "h"`}},
		{"97 13 unknown property", "30 08 00 01 61 02 99 00 68 69", []string{"read PUBLISH: malformed packet: property 0x99 does not belong here"}},
		{"a property of CONNACK", "30 07 00 01 61 02 24 00 68", []string{"read PUBLISH: malformed packet: property 0x24 does not belong here"}},
		{"97 topic not UTF-8", "30 04 00 01 FF 00", []string{notUTF8}},
		{"content type not UTF-8", "30 08 00 01 61 04 03 00 01 FF", []string{notUTF8}},
		{"user property not UTF-8", "30 0B 00 01 61 07 26 00 01 61 00 01 FF", []string{notUTF8}},
		{"a property cut short", "30 07 00 01 61 03 02 00 00", []string{short}},
		{"97 property length of five bytes", "30 09 00 01 61 FF FF FF FF 01 00", []string{"read PUBLISH: malformed packet: a length of more than four bytes"}},
		{"no property length", "30 03 00 01 61", []string{short}},
		{"no topic", "30 00", []string{short}},
	})
}

func TestOtherRequests(t *testing.T) {
	runFrames(t, []frame{
		{"99 PINGREQ", "C0 00", []string{"PINGREQ"}},
		{"PINGREQ with flags and a body", "CF 02 01 02", []string{"PINGREQ"}},
		{"93 two in one frame", "C0 00 C0 00", []string{"PINGREQ", "PINGREQ"}},
		{"100 AUTH, PUBACK, type 0, CONNACK, PUBREL", "F0 00 40 02 00 01 00 00 20 02 00 00 60 02 00 01",
			[]string{"AUTH", "PUBACK", "type 0", "CONNACK", "PUBREL"}},
		{"98 what is before the malformed packet", "C0 00 82 03 00 01 00",
			[]string{"PINGREQ", "read SUBSCRIBE: malformed packet: a field reaches beyond the end"}},
		{"97 13 bad length", "30 FF FF FF FF 01", []string{"malformed packet: a length of more than four bytes"}},
		{"bad length behind a packet", "C0 00 C0 80 80 80 80 00", []string{"PINGREQ", "malformed packet: a length of more than four bytes"}},
	})
}

func TestIncompleteRequests(t *testing.T) {
	runFrames(t, []frame{
		{"one byte", "C0", []string{"1 bytes wait"}},
		{"no end of the length", "30 FF FF FF", []string{"4 bytes wait"}},
		{"a fourth length byte that goes on is judged with the fifth", "30 FF FF FF FF", []string{"5 bytes wait"}},
		{"256 MiB announced", "30 FF FF FF 7F 00", []string{"6 bytes wait"}},
		{"behind a packet", "C0 00 30 09 00 04", []string{"PINGREQ", "4 bytes wait"}},
	})
}

// Item 93: a packet split over frames is there when its last byte is.
func TestRequestInPieces(t *testing.T) {
	whole := packet("31 0E 00 04 74 65 73 74 05 02 00 00 00 3C 68 69")
	for n := range whole {
		if _, size, err := NextRequest(whole[:n]); size != 0 || err != nil {
			t.Errorf("%d of %d bytes: size %d, %v", n, len(whole), size, err)
		}
	}
}

func TestPacketSize(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     int
		err      error
	}{
		{"nothing", "", 0, nil},
		{"no length", "30", 0, nil},
		{"half a length", "30 80", 0, nil},
		{"no body", "C0 00", 2, nil},
		{"more than there is", "30 FF FF FF 7F", 5 + 1<<28 - 1, nil},
		{"padded", "30 81 00", 4, nil},
		{"malformed", "30 80 80 80 80 00", 0, errLength},
	} {
		if got, err := PacketSize(packet(c.in)); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %d, %v, want %d, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func TestRequestOfAnotherType(t *testing.T) {
	r, _, _ := NextRequest(packet("C0 00"))
	_, connect := r.Connect()
	_, subscribe := r.Subscribe()
	_, unsubscribe := r.Unsubscribe()
	_, publish := r.Publish()
	for _, err := range []error{connect, subscribe, unsubscribe, publish, r.Disconnect()} {
		if !errors.Is(err, errOther) {
			t.Errorf("a PINGREQ reads as something else: %v", err)
		}
	}
}
