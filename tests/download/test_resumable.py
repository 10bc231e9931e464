import hashlib

import pytest

from humanclap.download.resumable import download
from humanclap.errors import InputError


def no_wait(seconds):
    pass


def test_a_file_is_brought_once_and_its_hash_recorded(server, tmp_path):
    path = tmp_path / "file.zip"
    seen = []
    first = download(server.url, path, progress=lambda *step: seen.append(step))
    assert path.read_bytes() == server.body
    assert first.sha256 == hashlib.sha256(server.body).hexdigest()
    assert first.brought == len(server.body)
    assert seen[-1] == (len(server.body), len(server.body), "bytes")
    assert (tmp_path / "file.zip.sha256").read_text() == f"{first.sha256}  file.zip\n"
    assert download(server.url, path).brought == 0
    assert len(server.asked) == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file.zip", "file.zip.sha256"]


def test_a_broken_connection_goes_on_where_it_was(server, tmp_path):
    server.cut = 2_000_000
    found = download(server.url, tmp_path / "file.zip", wait=no_wait)
    assert (tmp_path / "file.zip").read_bytes() == server.body
    assert found.brought == len(server.body)
    assert server.asked == [None, "bytes=2000000-", "bytes=4000000-"]


def test_an_address_that_leads_to_another_is_followed_and_gone_on_from(server, tmp_path):
    server.cut = 3_000_000
    download(server.url.replace("RELATE_wave", "moved"), tmp_path / "file.zip", wait=no_wait)
    assert (tmp_path / "file.zip").read_bytes() == server.body
    assert server.asked == [None, "bytes=3000000-"]


def test_an_interrupted_call_goes_on_in_the_next(server, tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total, note):
        if done > 2_000_000:
            raise StopError

    path = tmp_path / "file.zip"
    with pytest.raises(StopError):
        download(server.url, path, progress=stop)
    kept = (tmp_path / "file.zip.part").stat().st_size
    assert 0 < kept < len(server.body)
    found = download(server.url, path)
    assert path.read_bytes() == server.body
    assert found.brought == len(server.body) - kept


@pytest.mark.parametrize("change", ["etag", "ranges", "etag, unasked"])
def test_a_part_of_another_file_or_without_ranges_starts_anew(server, tmp_path, change):
    server.cut = 3_000_000
    path = tmp_path / "file.zip"
    answers = iter([None])

    def stop(seconds):
        next(answers)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        download(server.url, path, wait=stop)
    server.cut = None
    if change == "ranges":
        server.ranges = False
    else:
        server.etag, server.body = '"two"', server.body[::-1]
        server.if_range = change == "etag"
    download(server.url, path, wait=no_wait)
    assert path.read_bytes() == server.body


def test_a_server_that_sends_nothing_is_given_up_and_the_part_kept(server, tmp_path):
    server.cut = 0
    with pytest.raises(InputError, match=r"given up after 5 tries \(the connection ended early\)"):
        download(server.url, tmp_path / "file.zip", wait=no_wait)
    assert (tmp_path / "file.zip.part").is_file()


def test_other_bytes_than_expected_never_get_the_files_name(server, tmp_path):
    path = tmp_path / "file.zip"
    with pytest.raises(InputError, match=r"file\.zip\.part: .* expected is 00; delete the file"):
        download(server.url, path, sha256="00")
    assert not path.exists()
    download(server.url, path)  # the part was kept
    assert len(server.asked) == 1
    with pytest.raises(InputError, match=r"file\.zip: .* expected is 00"):
        download(server.url, path, sha256="00")
    path.write_bytes(b"x")
    with pytest.raises(InputError, match=r"file\.zip\.sha256 says"):
        download(server.url, path)


def test_other_bytes_are_not_kept_where_that_is_wished(server, tmp_path):
    with pytest.raises(InputError, match=r"what it sends has SHA-256 .* nothing was kept"):
        download(server.url, tmp_path / "file.zip", sha256="00", keep_other=False)
    assert list(tmp_path.iterdir()) == []


def test_a_part_larger_than_the_file_starts_anew(server, tmp_path):
    path = tmp_path / "file.zip"
    with pytest.raises(InputError):
        download(server.url, path, sha256="00")
    with open(tmp_path / "file.zip.part", "ab") as part:
        part.write(b"from a second process")
    download(server.url, path)
    assert path.read_bytes() == server.body


def test_a_full_disk_is_told_at_once_and_freed_the_download_goes_on(server, tmp_path):
    resource = pytest.importorskip("resource", reason="limits of file size are POSIX's")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    path, waited = tmp_path / "file.zip", []
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, hard))
    try:
        with pytest.raises(
            InputError, match=r"file\.zip\.part: cannot be written \(File too large"
        ):
            download(server.url, path, wait=waited.append)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not path.exists()
    assert (waited, len(server.asked)) == ([], 1)
    assert download(server.url, path).brought == len(server.body) - 1_500_000
    assert path.read_bytes() == server.body


def test_a_busy_server_is_asked_again(server, tmp_path):
    server.refuse = [503, 429]
    waited = []
    download(server.url, tmp_path / "file.zip", wait=waited.append)
    assert waited == [2.0, 4.0]
    server.refuse = [503, 503]
    with pytest.raises(InputError, match=r"given up after 2 tries \(HTTP Error 503"):
        download(server.url, tmp_path / "other.zip", tries=2, wait=no_wait)


def test_bad_addresses_are_named(server, tmp_path):
    with pytest.raises(InputError, match=r"missing.zip: HTTP Error 404"):
        download(server.url.replace("RELATE_wave", "missing"), tmp_path / "x", wait=no_wait)
    with pytest.raises(InputError, match="begins with http"):
        download("file:///etc/passwd", tmp_path / "x")
