from __future__ import annotations

import datetime

import numpy as np
import pytest

from bench import attributes, datasets, grown

pa = pytest.importorskip("pyarrow", reason="attributes are Arrow tables; pip install -e '.[bench]'")


@pytest.fixture(scope="module")
def papers(arxiv: datasets.Dataset):
    return attributes.papers()


def test_attributes_are_derived_as_the_published_sets_have_them(papers) -> None:
    import duckdb

    path = str(datasets.arxiv_folder() / "papers.parquet")
    columns = "title, categories, authors, comments, updated, published"
    raw = duckdb.execute(f"SELECT {columns} FROM read_parquet(?) ORDER BY row", [path]).fetchall()
    assert len(papers) == len(raw) == datasets.ARXIV_ROWS
    for at in range(0, len(raw), 997):
        title, categories, authors, comments, updated, published = raw[at]
        row = {name: papers[name][at].as_py() for name in papers.column_names}
        mains = sorted({category.split(".")[0] for category in categories})
        day = (updated or published) - datetime.date(1970, 1, 1)
        assert row == {
            "title": title,
            "authors": authors,
            "primary_category": categories[0],
            "main_categories": mains,
            "sub_categories": categories,
            "number_of_main_categories": len(mains),
            "number_of_sub_categories": len(categories),
            "number_of_authors": len(authors),
            "has_comments": comments is not None,
            "update_date": day.days,
        }


def test_rows_take_the_attributes_of_their_papers_and_get_lots() -> None:
    source = attributes.made(np.arange(50) % 7).drop_columns(["row", "lot"])
    taken = attributes.of_rows(source, np.array([4, 4, 30]))
    assert taken.column_names == list(attributes.COLUMNS)
    assert taken["row"].to_pylist() == [0, 1, 2]
    assert sorted(taken["lot"].to_pylist()) == [0, 1, 2]
    assert taken["title"].to_pylist() == [source["title"][row].as_py() for row in (4, 4, 30)]


def test_made_attributes_are_the_same_for_the_same_seed_and_follow_the_class() -> None:
    labels = np.arange(100) % 10
    made = attributes.made(labels)
    assert made.equals(attributes.made(labels))
    assert not made.equals(attributes.made(labels, seed=1))
    assert made["primary_category"].to_pylist()[:2] == ["a0.C0", "a1.C1"]
    for mains, subs, number in zip(
        *(made[name].to_pylist() for name in ("main_categories", "sub_categories", "number_of_sub_categories")),
        strict=True,
    ):
        assert mains == sorted({category.split(".")[0] for category in subs})
        assert number == len(subs)


@pytest.mark.slow
@pytest.mark.usefixtures("arxiv")
def test_grown_rows_are_the_same_however_many_are_drawn() -> None:
    few, papers_of_few = grown.draw(300)
    more, papers_of_more = grown.draw(9_000)
    np.testing.assert_array_equal(few, more[:300])
    np.testing.assert_array_equal(papers_of_few, papers_of_more[:300])
    assert not np.array_equal(few, grown.draw(300, seed=1)[0])
    np.testing.assert_allclose(np.linalg.norm(more, axis=1), 1, atol=1e-6)
    assert not more.flags.writeable


@pytest.mark.slow
def test_grown_rows_lie_around_real_ones_and_their_attributes_go_with_them(papers, arxiv: datasets.Dataset) -> None:
    vectors, sources = grown.draw(1_000)
    nearest = (vectors @ arxiv.vectors.T).argmax(axis=1)
    products = (vectors * arxiv.vectors[nearest]).sum(axis=1)
    assert 0.5 < np.median(products) < 0.95  # near real rows, copies of none
    primary = np.array(papers["primary_category"].to_pylist(), dtype=object)
    same = (primary[sources] == primary[nearest]).mean()
    by_chance = (primary[sources] == primary[np.roll(nearest, 1)]).mean()
    assert same > 5 * by_chance


def test_clusters_hold_every_row_once() -> None:
    rng = np.random.default_rng(0)
    vectors = datasets.unit_rows(rng.standard_normal((500, 8)))
    clusters = grown.Clusters.fit(vectors, seed=2, count=20)
    assert sorted(clusters.members.tolist()) == list(range(500))
    for cluster in range(20):
        members = clusters.members[clusters.starts[cluster] : clusters.starts[cluster + 1]]
        assert (clusters.of[members] == cluster).all()
    drawn = clusters.members_at(clusters.of[:100], rng)
    np.testing.assert_array_equal(clusters.of[drawn], clusters.of[:100])
