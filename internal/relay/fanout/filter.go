package fanout

// filter is replaced below.
func (s *stream) filter(sub *subscription, it *item) ([]byte, bool) { return it.raw, true }
