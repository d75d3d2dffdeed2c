package loadtest

// What the floor answers as a broker: the least that is legal, with the accept
// key that belongs to the load generator's only key.
const (
	floorSwitch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n"
	floorConnack = "\x82\x05\x20\x03\x00\x00\x00"
	floorSuback  = "\x82\x06\x90\x04\x00\x01\x00\x00"
)

// frames handles the complete frames of a broker's client and returns the rest.
func (f *floor) frames(fd int, p []byte) (rest []byte, err error) {
	for {
		content, after, ok, err := cutMasked(p)
		if err != nil {
			return nil, err
		}
		if !ok {
			return p, f.flush(fd)
		}
		if err := f.packet(fd, content); err != nil {
			return nil, err
		}
		p = after
	}
}

// packet handles one packet of a client. A PUBLISH is to its subscribers what it
// was from its publisher.
func (f *floor) packet(fd int, content []byte) error {
	if len(content) == 0 {
		return errClientFrame
	}
	switch content[0] {
	case packetConnect:
		return f.write(fd, []byte(floorConnack))
	case packetSubscribe:
		f.subscribe(fd)
		return f.write(fd, []byte(floorSuback))
	case packetPublish:
		f.round = appendServerFrame(f.round, content)
		if f.batch {
			return nil
		}
		return f.flush(fd)
	}
	return errClientFrame
}
