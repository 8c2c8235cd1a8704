"""Bring this repository's data up to date from the archive.

    python fetch.py                  all that the archive holds
    python fetch.py --through 1999   as it stood at the end of 1999

`archive/nino_regions.dat` plays the part of NOAA's server, so that the example works offline.
Written are `data/nino_sst.nc` (the four Nino regions) and `data/nino34_index.csv` (the index).
The same archive always gives the same bytes, and later years are only ever appended.
"""

import argparse
from pathlib import Path

import pandas as pd
import xarray as xr

ARCHIVE = Path("archive/nino_regions.dat")
SST = Path("data/nino_sst.nc")
INDEX = Path("data/nino34_index.csv")
MISSING = -99  # degC or K: no temperature, but what many climate files write in a gap

# In the archive's column order: (south, north) in degrees_north, (west, east) in degrees_east.
REGIONS = {
    "nino12": ((-10, 0), (270, 280)),
    "nino3": ((-5, 5), (210, 270)),
    "nino4": ((-5, 5), (160, 210)),
    "nino34": ((-5, 5), (190, 240)),
}
ABOUT = {
    "Conventions": "CF-1.8",
    "title": "Monthly sea surface temperature of the Nino regions",
    "institution": "NOAA Climate Prediction Center",
    "source": "monthly Nino-region SST indices",
    "license": "public domain (work of the US Government)",
}
MEAN = {"cell_methods": "time: mean area: mean"}
ATTRIBUTES = {
    "sst": {
        "standard_name": "sea_surface_temperature",
        "long_name": "sea surface temperature",
        "units": "degC",
        **MEAN,
    },
    "anomaly": {"long_name": "SST minus its 1971-2000 mean for the month", "units": "K", **MEAN},
    "time": {"standard_name": "time", "axis": "T", "long_name": "first day of the averaged month"},
    "region": {"long_name": "Nino region"},
    "lat_bounds": {"long_name": "southern and northern edge", "units": "degrees_north"},
    "lon_bounds": {"long_name": "western and eastern edge", "units": "degrees_east"},
}


def read_archive(path: Path) -> pd.DataFrame:
    """Return the archive as one row a month, columns (region, "sst" in degC or "anomaly" in K).

    The columns are year, month, then SST and anomaly of each region in the order of `REGIONS`.
    Raises ValueError where a month or a value is missing: a gap would shift every lag after it.
    """
    raw = pd.read_csv(path, sep=r"\s+", header=None, skiprows=1)
    time = pd.to_datetime({"year": raw[0], "month": raw[1], "day": 1})
    table = raw.drop(columns=[0, 1]).set_axis(pd.DatetimeIndex(time, name="time"))
    table.columns = pd.MultiIndex.from_product([REGIONS, ["sst", "anomaly"]])
    if not table.index.equals(pd.date_range(time.iloc[0], periods=len(table), freq="MS")):
        message = f"{path}: the months are not consecutive"
        raise ValueError(message)
    if table.isna().to_numpy().any() or (table.to_numpy() <= MISSING).any():
        message = f"{path}: there are missing values"
        raise ValueError(message)
    return table


def to_dataset(table: pd.DataFrame) -> xr.Dataset:
    """Return monthly `sst` (degC) and `anomaly` (K), both of shape (time, region).

    Metadata follow the CF conventions (cfconventions.org) and hold no time stamp of their own.
    """
    south_north, west_east = zip(*REGIONS.values(), strict=True)
    dataset = xr.Dataset(
        {
            name: (("time", "region"), table.xs(name, axis=1, level=1).to_numpy())
            for name in ("sst", "anomaly")
        },
        {
            "time": table.index,
            "region": list(REGIONS),
            "lat_bounds": (("region", "bound"), list(south_north)),
            "lon_bounds": (("region", "bound"), list(west_east)),
        },
        ABOUT,
    )
    for name, attributes in ATTRIBUTES.items():
        dataset[name].attrs = attributes
    dataset["time"].encoding = {"units": "days since 1950-01-01", "dtype": "int32"}
    for name in ("sst", "anomaly"):
        dataset[name].encoding = {"_FillValue": None}
    return dataset


def to_index(table: pd.DataFrame) -> pd.DataFrame:
    """Return the Nino 3.4 `anomaly` (K) by `date`, and its three-month running mean.

    NOAA's Oceanic Nino Index labels such a mean by its *middle* month, so that each value knows
    one month of its future. `anomaly_3mo` is labelled by its *last* month: nothing leaks, and new
    months never change an old row.
    """
    anomaly = table["nino34", "anomaly"].rename("anomaly").rename_axis("date")
    mean = anomaly.rolling(3).mean().round(3).rename("anomaly_3mo")
    return pd.concat([anomaly, mean], axis=1)


def write(path: Path, content: bytes) -> None:
    """Make `content` the file at `path`, whole or not at all; leave an equal file untouched.

    The file is replaced, never opened for writing: `path` may be a link into DVC's cache.
    """
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".tmp")
    part.write_bytes(content)
    part.replace(path)


def main() -> None:
    """Fetch, convert and write, as the arguments say."""
    parser = argparse.ArgumentParser(description="Bring the data up to date from the archive.")
    parser.add_argument("--through", type=int, metavar="YEAR", help="the last year to bring")
    args = parser.parse_args()
    table = read_archive(ARCHIVE)
    first, last = table.index[0].year, table.index[-1].year
    if args.through is not None:
        if not first <= args.through <= last:
            parser.error(f"--through: the archive holds {first} to {last}, not {args.through}")
        table = table.loc[: str(args.through)]
    write(SST, bytes(to_dataset(table).to_netcdf(engine="scipy", format="NETCDF3_64BIT")))
    index = to_index(table).to_csv(date_format="%Y-%m-%d", lineterminator="\n")
    write(INDEX, index.encode())
    print(f"{len(table)} months, {table.index[0]:%Y-%m} to {table.index[-1]:%Y-%m}")


if __name__ == "__main__":
    main()
