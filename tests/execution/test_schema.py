"""The schema of artefacts: types that tables have wherever they come from, and one list behind all lists."""

import pytest

from saliency_stats.errors import StorageError
from saliency_stats.execution.manifest import artefact_hashes
from saliency_stats.execution.schema import FILES, FOLDERS, TABLES, UNHASHED, artefacts
from saliency_stats.execution.store import Store
from saliency_stats.report.figures.draw import FIGURES


def test_every_column_has_one_kind():
    for name, table in TABLES.items():
        columns = [*table.required, *table.may_have, *table.may_have_text]
        assert len(columns) == len(set(columns)), name
        assert {table.kind(column) for column in columns} <= {"text", "number", "flag"}
        assert table.rows
        assert table.writer
    for column in {column for table in TABLES.values() for column in table.required}:
        assert len({table.kind(column) for table in TABLES.values()} - {None}) == 1, column


def test_a_finished_run_may_do_without_what_only_some_studies_ask_for():
    assert {name for name, table in TABLES.items() if not table.optional} == {
        *("patches", "predictions", "ledger", "metrics", "selection", "profile", "contrasts"),
    }


def test_an_empty_table_has_its_types():
    for table in TABLES.values():
        empty = table.empty()
        assert list(empty.columns) == list(table.required)
        text = "category" if table.long else "str"
        assert set(empty[list(table.text)].dtypes.astype(str)) == {text}
        assert empty.drop(columns=list(table.text)).dtypes.astype(str).isin(["float64", "bool"]).all()


def test_the_tables_of_patches_and_their_maps_are_long():
    assert {name for name, table in TABLES.items() if table.long} == {
        *("predictions", "ledger", "nuclei", "shift", "matched", "ablation", "importance", "crossed")
    }


def test_what_is_written_must_be_declared(tmp_path):
    table = TABLES["selection"].empty()
    with pytest.raises(StorageError, match="selection: the columns surprise are not in the schema"):
        Store(tmp_path).write("selection", table.assign(surprise=1))
    Store(tmp_path).write("selection", table)
    assert (tmp_path / "selection.csv").read_text(encoding="utf-8") == "label,step,magnification,n_patches,n_slides\n"


def test_what_fresh_deletes_is_all_that_there_is():
    names = list(artefacts())
    assert len(names) == len(set(names))
    assert set(names) >= {*FILES, *FOLDERS, *UNHASHED, "ledger.csv", "ledger.parquet", "power.csv"}


def test_what_is_drawn_is_drawn_from_a_table_that_says_so():
    known = {figure.name for figure in FIGURES}
    assert {figure for table in TABLES.values() for figure in table.readers} <= known


def test_working_files_and_the_manifest_are_not_hashed(tmp_path):
    for name in ("ledger.csv", "figures/a.png", "work/identity.json", "explain/x.png", "manifest.json", ".hidden"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x", encoding="utf-8")
    assert list(artefact_hashes(tmp_path)) == ["figures/a.png", "ledger.csv"]
