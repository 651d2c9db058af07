"""A record says the same after its way through the stream or a spool file."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.record import AttemptRecord, RequestRecord, decode_record, encode_record
from gateway.domain.usage import Usage

TEXT = st.text(max_size=20)
COUNT = st.integers(0, 2**53)
FLOATS = st.floats(0, 1e12)
RECORDS = st.builds(
    RequestRecord,
    id=TEXT, at=FLOATS, worker=TEXT, endpoint=TEXT, dialect=TEXT, requested_model=TEXT, error=TEXT, is_stream=st.booleans(),
    status=st.integers(0, 599), usage=st.builds(Usage, COUNT, COUNT, COUNT, COUNT, COUNT, st.booleans()),
    attempts=st.lists(st.builds(AttemptRecord, TEXT, TEXT, TEXT, TEXT, COUNT, FLOATS, TEXT), max_size=2).map(tuple),
    first_byte_ms=st.none() | FLOATS, bytes_out=COUNT,
)  # fmt: skip


@settings(deadline=None, database=None)
@given(RECORDS)
def test_a_record_survives_its_way_on_one_line(record: RequestRecord) -> None:
    blob = encode_record(record)
    assert decode_record(blob) == record
    assert b"\n" not in blob
