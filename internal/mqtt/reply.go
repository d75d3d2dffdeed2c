package mqtt

import "encoding/binary"

// AppendConnack appends the app's answer to a CONNECT of version 5: success, or
// a refusal with ProtocolError (already connected, Quirk Q15) or
// UnsupportedProtocolVersion. Both tell what the app can do, only success the
// packet size it announces, and neither assigns a client id (Quirk Q31).
func AppendConnack(dst []byte, code Reason) []byte {
	n := byte(8)
	if code == Success {
		n += 5
	}
	dst = append(dst, TypeConnack.head(0), 3+n, 0, byte(code), n,
		byte(MaximumQoS), 0, byte(RetainAvailable), 1)
	if code == Success {
		dst = append(dst, byte(MaximumPacketSize))
		dst = binary.BigEndian.AppendUint32(dst, MaxPacket)
	}
	return append(dst, byte(WildcardAvailable), 0, byte(SharedSubscriptions), 0)
}

// AppendConnack3 appends the app's answer to a CONNECT of version 4 or less: the
// refusal in the form that such a client understands.
func AppendConnack3(dst []byte) []byte { return append(dst, TypeConnack.head(0), 2, 0, 1) }

// AppendSuback appends the answer to a SUBSCRIBE: one reason code, however many
// filters there were (Quirk Q3).
func AppendSuback(dst []byte, id uint16, code Reason) []byte {
	return append(dst, TypeSuback.head(0), 4, byte(id>>8), byte(id), 0, byte(code))
}

// AppendUnsuback appends the app's answer to an UNSUBSCRIBE.
//
// Quirk Q4: its type is that of a SUBACK.
func AppendUnsuback(dst []byte, id uint16, code Reason) []byte {
	return AppendSuback(dst, id, code)
}

// AppendPingresp appends a PINGRESP.
func AppendPingresp(dst []byte) []byte { return append(dst, TypePingresp.head(0), 0) }

// AppendDisconnect appends a server's DISCONNECT in the app's form: the reason
// and no property length.
func AppendDisconnect(dst []byte, code Reason) []byte {
	return append(dst, TypeDisconnect.head(0), 1, byte(code))
}
