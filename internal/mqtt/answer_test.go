package mqtt

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// answers reads what a server sent to its end and writes each packet on a line.
func answers(stream []byte) []string {
	var lines []string
	for len(stream) > 0 {
		a, n, err := NextAnswer(stream, MaxPacket)
		text := ""
		if n > 0 {
			text, err = describeAnswer(a)
		}
		switch {
		case err != nil:
			return append(lines, err.Error())
		case n == 0:
			return append(lines, fmt.Sprintf("%d bytes wait", len(stream)))
		}
		lines, stream = append(lines, text), stream[n:]
	}
	return lines
}

func describeAnswer(a Answer) (string, error) {
	switch t := a.Type(); t {
	case TypeConnack:
		c, err := a.Connack()
		return fmt.Sprintf("CONNACK %s%s%s%s", c.Code, when(c.SessionPresent, ", session"), when(c.Old, ", old"), list(c.Properties)), err
	case TypePublish:
		d, err := a.Publish()
		return fmt.Sprintf("PUBLISH %q %q QoS %d id %d%s%s%s", d.Topic, d.Payload, d.QoS, d.PacketID,
			when(d.Retain, ", retain"), when(d.Duplicate, ", dup"), list(d.Properties)), err
	case TypeSuback, TypeUnsuback:
		k, err := a.Ack()
		return fmt.Sprintf("%s %d % X%s", k.Type, k.PacketID, k.Codes, list(k.Properties)), err
	case TypeDisconnect:
		d, err := a.Disconnect()
		return fmt.Sprintf("DISCONNECT %s%s", d.Code, list(d.Properties)), err
	default:
		return t.String(), nil
	}
}

func when(yes bool, text string) string {
	if yes {
		return text
	}
	return ""
}

// list writes a property block by way of the accessors, all identifiers asked for.
func list(p Properties) string {
	text := ""
	for id := range Property(0x40) {
		n, ok := p.Number(id)
		b, _ := p.Bytes(id)
		if ok && id != UserProperty {
			text += fmt.Sprintf(" %02X=%d%s", byte(id), n, b)
		}
	}
	for name, value := range p.User() {
		text += fmt.Sprintf(" %s:%s", name, value)
	}
	return text
}

func runAnswers(t *testing.T, cases []frame) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := answers(packet(c.bytes)); !slices.Equal(got, c.want) {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestConnackIsRead(t *testing.T) {
	const pre = "read CONNACK: malformed packet: "
	runAnswers(t, []frame{
		{"7.3 success of the app", "20 10 00 00 0D 24 00 25 01 27 00 00 80 00 28 00 2A 00", []string{"CONNACK success 24=0 25=1 27=32768 28=0 2A=0"}},
		{"7.3 already connected", "20 0B 00 82 08 24 00 25 01 28 00 2A 00", []string{"CONNACK protocol error 24=0 25=1 28=0 2A=0"}},
		{"7.3 version above 5", "20 0B 00 84 08 24 00 25 01 28 00 2A 00", []string{"CONNACK unsupported protocol version 24=0 25=1 28=0 2A=0"}},
		{"7.3 version below 5", "20 02 00 01", []string{"CONNACK unsupported protocol version, old"}},
		{"another refusal of an old server", "20 02 00 05", []string{"CONNACK not authorized, old"}},
		{"no properties, session present", "20 03 01 00 00", []string{"CONNACK success, session"}},
		{"alias maximum and receive maximum", "20 09 00 00 06 22 00 0A 21 00 14", []string{"CONNACK success 21=20 22=10"}},
		{"every other property",
			"20 2C 00 00 29 11 00 00 00 05 12 00 01 69 13 00 3C 15 00 01 6D 16 00 01 FF 1A 00 01 72 1C 00 01 73 1F 00 01 74 29 00 26 00 01 6B 00 01 76",
			[]string{"CONNACK success 11=5 12=0i 13=60 15=0m 16=0\xff 1A=0r 1C=0s 1F=0t 29=0 k:v"}},
		{"an unknown failure", "20 03 00 FE 00", []string{"CONNACK reason 0xFE"}},
		{"an old server accepts", "20 02 00 00", []string{pre + "return code of another version"}},
		{"an unknown old code", "20 02 00 06", []string{pre + "return code of another version"}},
		{"a code of another packet", "20 03 00 01 00", []string{pre + "reason code 0x01 does not belong here"}},
		{"session present in a refusal", "20 03 01 87 00", []string{pre + "reserved acknowledge flags"}},
		{"reserved acknowledge flags", "20 03 02 00 00", []string{pre + "reserved acknowledge flags"}},
		{"maximum QoS 2", "20 05 00 00 02 24 02", []string{pre + "property 0x24 is out of range"}},
		{"receive maximum 0", "20 06 00 00 03 21 00 00", []string{pre + "property 0x21 is out of range"}},
		{"packet size 0", "20 08 00 00 05 27 00 00 00 00", []string{pre + "property 0x27 is out of range"}},
		{"a property of PUBLISH", "20 06 00 00 03 23 00 01", []string{pre + "property 0x23 does not belong here"}},
		{"an unknown property", "20 04 00 00 01 7F", []string{pre + "property 0x7F does not belong here"}},
		{"a repeated property", "20 07 00 00 04 25 01 25 01", []string{pre + "property 0x25 is repeated"}},
		{"a property cut short", "20 05 00 00 02 27 00", []string{pre + "a field reaches beyond the end"}},
		{"text not UTF-8", "20 07 00 00 04 1F 00 01 FF", []string{pre + "a string is not UTF-8"}},
		{"properties beyond the packet", "20 03 00 00 01 25 01", []string{pre + "a field reaches beyond the end"}},
		{"bytes behind the properties", "20 04 00 00 00 00", []string{pre + "bytes behind the last field"}},
		{"empty", "20 00", []string{pre + "a field reaches beyond the end"}},
	})
}

func TestPublishIsRead(t *testing.T) {
	const pre = "read PUBLISH: malformed packet: "
	runAnswers(t, []frame{
		{"7.11 live", "30 09 00 04 74 65 73 74 00 79 6F", []string{`PUBLISH "test" "yo" QoS 0 id 0`}},
		{"7.4 stored, with expiry", "31 0E 00 04 74 65 73 74 05 02 00 00 00 3B 68 69", []string{`PUBLISH "test" "hi" QoS 0 id 0, retain 02=59`}},
		{"the payload ends with the packet", "30 05 00 01 61 00 68 D0 00", []string{`PUBLISH "a" "h" QoS 0 id 0`, "PINGRESP"}},
		{"QoS 1, duplicate", "3A 06 00 01 61 01 02 00", []string{`PUBLISH "a" "" QoS 1 id 258, dup`}},
		{"QoS 2", "34 06 00 01 61 00 01 00", []string{`PUBLISH "a" "" QoS 2 id 1`}},
		{"an alias for a topic", "30 07 00 01 61 03 23 00 05", []string{`PUBLISH "a" "" QoS 0 id 0 23=5`}},
		{"an alias instead of a topic", "30 06 00 00 03 23 00 05", []string{`PUBLISH "" "" QoS 0 id 0 23=5`}},
		{"several subscription ids and user properties", "30 16 00 01 61 12 0B 01 0B 02 26 00 01 6B 00 01 76 26 00 01 6B 00 01 77",
			[]string{`PUBLISH "a" "" QoS 0 id 0 0B=1 k:v k:w`}},
		{"every other property", "30 12 00 01 61 0E 01 01 03 00 01 63 08 00 01 72 09 00 01 FF",
			[]string{"PUBLISH \"a\" \"\" QoS 0 id 0 01=1 03=0c 08=0r 09=0\xff"}},
		{"a wildcard in the topic passes", "30 06 00 03 61 2F 2B 00", []string{`PUBLISH "a/+" "" QoS 0 id 0`}},
		{"QoS 3", "36 06 00 01 61 00 01 00", []string{pre + "QoS 3"}},
		{"a duplicate at QoS 0", "38 04 00 01 61 00", []string{pre + "a duplicate at QoS 0"}},
		{"packet identifier 0", "32 06 00 01 61 00 00 00", []string{pre + "packet identifier 0"}},
		{"neither topic nor alias", "30 03 00 00 00", []string{pre + "neither a topic nor an alias"}},
		{"alias 0", "30 06 00 00 03 23 00 00", []string{pre + "property 0x23 is out of range"}},
		{"subscription id 0", "30 06 00 01 61 02 0B 00", []string{pre + "property 0x0B is out of range"}},
		{"payload format 2", "30 06 00 01 61 02 01 02", []string{pre + "property 0x01 is out of range"}},
		{"two expiries", "30 0E 00 01 61 0A 02 00 00 00 01 02 00 00 00 01", []string{pre + "property 0x02 is repeated"}},
		{"needless bytes in the properties' length", "30 05 00 01 61 80 00", []string{pre + "a length with needless bytes"}},
		{"needless bytes in a subscription id", "30 07 00 01 61 03 0B 81 00", []string{pre + "a length with needless bytes"}},
		{"topic not UTF-8", "30 04 00 01 FF 00", []string{pre + "a string is not UTF-8"}},
		{"topic beyond the packet", "30 03 00 04 74 65 73 74 00", []string{pre + "a field reaches beyond the end"}},
	})
}

func TestAcksAreRead(t *testing.T) {
	const pre, unpre = "read SUBACK: malformed packet: ", "read UNSUBACK: malformed packet: "
	runAnswers(t, []frame{
		{"granted", "90 04 00 01 00 00", []string{"SUBACK 1 00"}},
		{"refused", "90 04 01 02 00 87", []string{"SUBACK 258 87"}},
		{"several filters", "90 07 00 01 00 00 01 02 A2", []string{"SUBACK 1 00 01 02 A2"}},
		{"with a reason for people", "90 08 00 01 04 1F 00 01 78 80", []string{"SUBACK 1 80 1F=0x"}},
		{"UNSUBACK", "B0 05 00 02 00 00 11", []string{"UNSUBACK 2 00 11"}},
		{"no code", "90 03 00 01 00", []string{pre + "no reason code"}},
		{"an unknown success", "90 04 00 01 00 03", []string{pre + "reason code 0x03 does not belong here"}},
		{"a QoS granted in UNSUBACK", "B0 04 00 02 00 01", []string{unpre + "reason code 0x01 does not belong here"}},
		{"a property of CONNACK", "90 06 00 01 02 25 01 00", []string{pre + "property 0x25 does not belong here"}},
		{"cut short", "90 02 00 01", []string{pre + "a field reaches beyond the end"}},
	})
}

func TestDisconnectIsRead(t *testing.T) {
	const pre = "read DISCONNECT: malformed packet: "
	runAnswers(t, []frame{
		{"7.6 QoS above 0", "E0 01 9B", []string{"DISCONNECT QoS not supported"}},
		{"7.8 sync failed", "E0 01 80", []string{"DISCONNECT unspecified error"}},
		{"no code", "E0 00", []string{"DISCONNECT success"}},
		{"empty properties", "E0 02 8B 00", []string{"DISCONNECT server shutting down"}},
		{"properties", "E0 0A 9C 08 1F 00 01 78 1C 00 01 79", []string{"DISCONNECT use another server 1C=0y 1F=0x"}},
		{"a client's reason", "E0 01 04", []string{pre + "reason code 0x04 does not belong here"}},
		{"a client's property", "E0 07 00 05 11 00 00 00 01", []string{pre + "property 0x11 does not belong here"}},
		{"bytes behind the properties", "E0 03 00 00 00", []string{pre + "bytes behind the last field"}},
	})
}

func TestOtherAnswers(t *testing.T) {
	const pre = "malformed packet: "
	runAnswers(t, []frame{
		{"PINGRESP", "D0 00", []string{"PINGRESP"}},
		{"what is of no use", "40 02 00 01 50 02 00 01 62 02 00 01 70 02 00 01 F0 00", []string{"PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "AUTH"}},
		{"PINGRESP with a body", "D0 01 00", []string{pre + "a PINGRESP has no body"}},
		{"PINGRESP with flags", "D1 00", []string{pre + "reserved flags of a PINGRESP"}},
		{"PUBREL without its flags", "60 02 00 01", []string{pre + "reserved flags of a PUBREL"}},
		{"SUBACK with flags", "92 04 00 01 00 00", []string{pre + "reserved flags of a SUBACK"}},
		{"type 0", "00 00", []string{pre + "no server sends a type 0"}},
		{"CONNECT", "10 00", []string{pre + "no server sends a CONNECT"}},
		{"SUBSCRIBE", "82 00", []string{pre + "no server sends a SUBSCRIBE"}},
		{"UNSUBSCRIBE", "A2 00", []string{pre + "no server sends a UNSUBSCRIBE"}},
		{"PINGREQ", "C0 00", []string{pre + "no server sends a PINGREQ"}},
		{"needless bytes in the length", "D0 80 00", []string{pre + "a length with needless bytes"}},
		{"a length of five bytes", "30 80 80 80 80 01", []string{pre + "a length of more than four bytes"}},
		{"one byte", "D0", []string{"1 bytes wait"}},
		{"half a packet", "D0 00 30 09 00", []string{"PINGRESP", "3 bytes wait"}},
	})
}

func TestAnswerTooLarge(t *testing.T) {
	in := packet("30 0A 00 01 61 00") // 12 bytes in all, half of them there
	if _, n, err := NextAnswer(in, 12); n != 0 || err != nil {
		t.Errorf("a packet as large as allowed: %d, %v", n, err)
	}
	_, _, err := NextAnswer(in, 11)
	if e, ok := errors.AsType[*TooLargeError](err); !ok || *e != (TooLargeError{Size: 12, Limit: 11}) {
		t.Errorf("a packet of 12 bytes where 11 are allowed: %v", err)
	}
	if got, want := err.Error(), "packet of 12 bytes is larger than 11"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

func TestAnswerOfAnotherType(t *testing.T) {
	a, _, _ := NextAnswer(packet("D0 00"), MaxPacket)
	_, connack := a.Connack()
	_, publish := a.Publish()
	_, ack := a.Ack()
	_, disconnect := a.Disconnect()
	for _, err := range []error{connack, publish, ack, disconnect} {
		if !errors.Is(err, errOther) {
			t.Errorf("a PINGRESP reads as something else: %v", err)
		}
	}
}

func TestPropertiesStop(t *testing.T) {
	a, _, _ := NextAnswer(packet("30 12 00 01 61 0E 26 00 01 6B 00 01 76 26 00 01 6B 00 01 77"), MaxPacket)
	d, err := a.Publish()
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for range d.Properties.User() {
		seen++
		break
	}
	if seen != 1 {
		t.Errorf("%d properties before the break", seen)
	}
}
